#include "rpc/grpc_log.h"

#include <grpc/support/log.h>
#include <spdlog/spdlog.h>

#include "ops/log.h"

namespace aloft::rpc {

void log_as_this_program() {
  ::gpr_set_log_function([](gpr_log_func_args* args) {
    // What gRPC calls an error is a peer that is not as it should be; this program goes on.
    const auto level = args->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::warn
                       : args->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::debug
                                                                 : spdlog::level::trace;
    ops::log(level, args->message, {{"from", "grpc"}});
  });
}

}  // namespace aloft::rpc
