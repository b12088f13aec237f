// A trace on its way with a call of gRPC: in its metadata, as W3C Trace Context has it.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include "ops/trace.h"

namespace aloft::rpc {

// That of a request; unknown where it has none, or no good one.
[[nodiscard]] inline ops::Trace trace_of(const grpc::ServerContextBase& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(ops::kTraceparent);
  if (found == metadata.end()) return {};
  return ops::Trace::parse({found->second.data(), found->second.size()}).value_or(ops::Trace());
}

// Before the call is made.
inline void pass_on(const ops::Trace& trace, grpc::ClientContext& context) {
  if (auto next = trace.next_step(); !next.empty())
    context.AddMetadata(ops::kTraceparent, std::move(next));
}

}  // namespace aloft::rpc
