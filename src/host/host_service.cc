#include "host/host_service.h"

#include <spdlog/spdlog.h>

#include "identity/certificate.h"

namespace aloft::host {

grpc::Status to_status(const Error& error) {
  const auto code = [&] {
    switch (error.code) {
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
      default: return grpc::StatusCode::INTERNAL;
    }
  }();
  return {code, error.message};
}

grpc::Status HostService::check(const grpc::ServerContext& context) const {
  const auto shown = context.auth_context()->FindPropertyValues("x509_pem_cert");
  if (shown.empty())
    return {grpc::StatusCode::UNAUTHENTICATED, "show the certificate of a manager"};
  const auto identity =
      identity::identity_of(std::string_view(shown.front().data(), shown.front().size()));
  if (!identity) return {grpc::StatusCode::UNAUTHENTICATED, identity.error().message};
  if (identity->role != identity::Role::manager || identity->cluster != cluster_) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            "a host obeys the managers of its cluster, " + cluster_};
  }
  return grpc::Status::OK;
}

grpc::Status HostService::Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                                  v1::PrepareResponse* response) {
  if (auto may = check(*context); !may.ok()) return may;
  auto prepared = handler_.prepare(*request);
  if (!prepared) {
    spdlog::warn("session {} of {} is not prepared: {}", request->session_id(), request->tenant(),
                 prepared.error().message);
    return to_status(prepared.error());
  }
  *response = *std::move(prepared);
  spdlog::info("session {} of {}, placement {}, is expected at {}", request->session_id(),
               request->tenant(), request->generation(), response->address());
  return grpc::Status::OK;
}

grpc::Status HostService::Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                                  v1::ReleaseResponse*) {
  if (auto may = check(*context); !may.ok()) return may;
  auto released = handler_.release(*request);
  if (!released) return to_status(released.error());
  spdlog::info("session {} of {}, placement {}, is released", request->session_id(),
               request->tenant(), request->generation());
  return grpc::Status::OK;
}

}  // namespace aloft::host
