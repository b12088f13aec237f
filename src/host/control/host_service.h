// The gRPC service HostOffloadHandler (proto/aloft/v1/host.proto) of one host, for managers alone.
#pragma once

#include <memory>
#include <string>

#include "aloft/v1/host.grpc.pb.h"
#include "host/control/offload_handler.h"
#include "host/control/revoked_certificates.h"

namespace aloft::host {

// Thread rule: gRPC's. `handler` outlives it.
class HostService final : public v1::HostOffloadHandler::Service {
 public:
  // `cluster`: whose managers are obeyed, but for those that are `revoked`, which outlives it.
  HostService(OffloadHandler& handler, std::string cluster, const RevokedCertificates& revoked)
      : handler_(handler), cluster_(std::move(cluster)), revoked_(revoked) {}

  grpc::Status Prepare(grpc::ServerContext* context, const v1::PrepareRequest* request,
                       v1::PrepareResponse* response) override;
  grpc::Status InspectModule(grpc::ServerContext* context, const v1::InspectModuleRequest* request,
                             v1::InspectModuleResponse* response) override;
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;

 private:
  [[nodiscard]] grpc::Status check(const grpc::ServerContext& context) const;

  OffloadHandler& handler_;
  const std::string cluster_;
  const RevokedCertificates& revoked_;
};

}  // namespace aloft::host
