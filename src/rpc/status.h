// Errors as gRPC says them, and back: one table, so that a manager, a host and the command line
// mean the same by them.
#pragma once

#include <grpcpp/support/status.h>

#include <aloft/result.h>

namespace aloft::rpc {

// The key of the trailing metadata that says when to ask again.
inline constexpr const char* kRetryAfter = "retry-after-ms";

[[nodiscard]] grpc::Status to_status(const Error& error);
[[nodiscard]] Error to_error(const grpc::Status& status);

}  // namespace aloft::rpc
