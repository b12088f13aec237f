#include "rpc/status.h"

#include "wire/error_text.h"

namespace aloft::rpc {
namespace {

grpc::StatusCode code_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return grpc::StatusCode::INVALID_ARGUMENT;
    case Errc::not_found: return grpc::StatusCode::NOT_FOUND;
    case Errc::refused: return grpc::StatusCode::PERMISSION_DENIED;
    case Errc::unreachable:
    case Errc::cancelled: return grpc::StatusCode::UNAVAILABLE;
    case Errc::overloaded:
    case Errc::resource_exhausted: return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Errc::deadline_exceeded: return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Errc::version_mismatch:
    case Errc::signature_mismatch:
    case Errc::corrupt: return grpc::StatusCode::FAILED_PRECONDITION;
    case Errc::protocol:
    case Errc::trapped:
    case Errc::interrupted:
    case Errc::internal: return grpc::StatusCode::INTERNAL;
  }
  return grpc::StatusCode::INTERNAL;
}

Errc code_of(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE: return Errc::invalid_argument;
    case grpc::StatusCode::NOT_FOUND: return Errc::not_found;
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED: return Errc::refused;
    case grpc::StatusCode::FAILED_PRECONDITION: return Errc::corrupt;
    case grpc::StatusCode::UNAVAILABLE: return Errc::unreachable;
    case grpc::StatusCode::RESOURCE_EXHAUSTED: return Errc::overloaded;
    case grpc::StatusCode::DEADLINE_EXCEEDED: return Errc::deadline_exceeded;
    case grpc::StatusCode::CANCELLED: return Errc::cancelled;
    case grpc::StatusCode::UNIMPLEMENTED: return Errc::version_mismatch;
    default: return Errc::internal;
  }
}

}  // namespace

grpc::Status to_status(const Error& error) {
  return {code_of(error.code), wire::one_line(error.message)};
}

Error to_error(const grpc::Status& status) {
  return {code_of(status.error_code()), wire::one_line(status.error_message())};
}

}  // namespace aloft::rpc
