#include "host/control/host_service.h"

#include <spdlog/spdlog.h>

#include "identity/certificate.h"
#include "ops/log.h"
#include "rpc/status.h"
#include "rpc/trace_metadata.h"

namespace aloft::host {
namespace {

template <class Request>
ops::LogFields fields_of(const Request& request, const ops::Trace& trace) {
  return {
      {"tenant", request.tenant()}, {"session", request.session_id()}, {"trace_id", trace.id()}};
}

}  // namespace

grpc::Status HostService::check(const grpc::ServerContext& context) const {
  const auto shown = context.auth_context()->FindPropertyValues("x509_pem_cert");
  if (shown.empty())
    return {grpc::StatusCode::UNAUTHENTICATED, "show the certificate of a manager"};
  const std::string_view certificate(shown.front().data(), shown.front().size());
  const auto identity = identity::identity_of(certificate);
  if (!identity) return {grpc::StatusCode::UNAUTHENTICATED, identity.error().message};
  if (identity->role != identity::Role::manager || identity->cluster != cluster_) {
    return {grpc::StatusCode::PERMISSION_DENIED,
            "a host obeys the managers of its cluster, " + cluster_};
  }
  if (revoked_.covers(certificate))
    return {grpc::StatusCode::UNAUTHENTICATED, "this manager's certificate has been revoked"};
  return grpc::Status::OK;
}

grpc::Status HostService::Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                                  v1::PrepareResponse* response) {
  if (auto may = check(*context); !may.ok()) return may;
  const ops::Trace trace = rpc::trace_of(*context);
  const auto fields = fields_of(*request, trace);
  auto prepared = handler_.prepare(*request, trace);
  if (!prepared) {
    ops::log(spdlog::level::warn, "not prepared: " + prepared.error().message, fields);
    return rpc::to_status(prepared.error());
  }
  *response = *std::move(prepared);
  ops::log(
      spdlog::level::info,
      fmt::format("placement {} is expected at {}", request->generation(), response->address()),
      fields);
  return grpc::Status::OK;
}

grpc::Status HostService::InspectModule(grpc::ServerContext* context,
                                        const v1::InspectModuleRequest* request,
                                        v1::InspectModuleResponse* response) {
  if (auto may = check(*context); !may.ok()) return may;
  auto inspected = handler_.inspect(*request);
  if (!inspected) return rpc::to_status(inspected.error());
  *response = *std::move(inspected);
  return grpc::Status::OK;
}

grpc::Status HostService::Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                                  v1::ReleaseResponse*) {
  if (auto may = check(*context); !may.ok()) return may;
  auto released = handler_.release(*request);
  if (!released) return rpc::to_status(released.error());
  ops::log(spdlog::level::info, fmt::format("placement {} is released", request->generation()),
           fields_of(*request, {}));
  return grpc::Status::OK;
}

}  // namespace aloft::host
