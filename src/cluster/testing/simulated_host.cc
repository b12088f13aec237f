#include "cluster/testing/simulated_host.h"

#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "cluster/rpc_status.h"

namespace aloft::cluster::testing {

SimulatedHost::SimulatedHost(const identity::Authority& authority, SimulatedHostOptions options)
    : options_(std::move(options)) {
  auto issued = authority.issue({.identity = {.cluster = authority.cluster(),
                                              .role = identity::Role::host,
                                              .name = options_.id},
                                 .hosts = {"127.0.0.1"}});
  if (!issued) {
    state_ = std::unexpected(issued.error());
    return;
  }
  ca_ = authority.certificate_pem();
  certificate_ = issued->certificate_pem;
  key_ = issued->key_pem;
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = ca_;
  tls.pem_key_cert_pairs.push_back({key_, certificate_});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  thread_ = std::thread([this] { beat(); });
}

SimulatedHost::~SimulatedHost() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

std::string SimulatedHost::address() const { return "127.0.0.1:" + std::to_string(port_); }

Result<void> SimulatedHost::registered() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

void SimulatedHost::prepare_with(std::function<grpc::Status(const v1::PrepareRequest&)> answer) {
  const std::scoped_lock lock(mutex_);
  answer_ = std::move(answer);
}

void SimulatedHost::compiled(std::vector<std::string> digests) {
  const std::scoped_lock lock(mutex_);
  compiled_ = std::move(digests);
}

std::size_t SimulatedHost::prepared() const {
  const std::scoped_lock lock(mutex_);
  return prepared_;
}

std::set<std::string> SimulatedHost::sessions() const {
  const std::scoped_lock lock(mutex_);
  return sessions_;
}

v1::HeartbeatResponse SimulatedHost::last_answer() const {
  const std::scoped_lock lock(mutex_);
  return last_;
}

std::string SimulatedHost::boot_of(const std::string& tenant) const {
  return options_.id + "-" + options_.boot + "-" + tenant;
}

grpc::Status SimulatedHost::Prepare(grpc::ServerContext*, const v1::PrepareRequest* request,
                                    v1::PrepareResponse* response) {
  std::function<grpc::Status(const v1::PrepareRequest&)> answer;
  {
    const std::scoped_lock lock(mutex_);
    ++prepared_;
    answer = answer_;
  }
  if (answer) {
    if (auto status = answer(*request); !status.ok()) return status;
  }
  const std::scoped_lock lock(mutex_);
  sessions_.insert(request->session_id() + "/" + std::to_string(request->generation()));
  response->set_address("127.0.0.1:9");
  response->set_boot_id(boot_of(request->tenant()));
  return grpc::Status::OK;
}

grpc::Status SimulatedHost::Release(grpc::ServerContext*, const v1::ReleaseRequest* request,
                                    v1::ReleaseResponse*) {
  const std::scoped_lock lock(mutex_);
  sessions_.erase(request->session_id() + "/" + std::to_string(request->generation()));
  return grpc::Status::OK;
}

void SimulatedHost::beat() {
  const auto credentials = grpc::SslCredentials(
      {.pem_root_certs = ca_, .pem_private_key = key_, .pem_cert_chain = certificate_});
  std::vector<std::unique_ptr<v1::Hosts::Stub>> stubs;
  for (const auto& manager : options_.managers) {
    stubs.push_back(v1::Hosts::NewStub(grpc::CreateChannel(manager, credentials)));
  }
  bool known = false;
  for (std::size_t turn = 0; !ending_ && !stubs.empty(); ++turn) {
    if (beating_) {
      // Another manager each time: none of them is special.
      auto& stub = stubs[turn % stubs.size()];
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
      v1::HeartbeatResponse response;
      grpc::Status status;
      if (!known) {
        v1::RegisterHostRequest request;
        request.set_host_id(options_.id);
        request.set_boot_id(options_.boot);
        request.set_control_address(address());
        request.mutable_capacity()->set_memory_bytes(options_.memory_bytes);
        request.mutable_capacity()->set_cpu_millicores(options_.cpu_millicores);
        for (const auto& name : options_.accelerators) {
          request.mutable_capabilities()->add_accelerators(name);
        }
        status = stub->Register(&context, request, &response);
      } else {
        v1::HeartbeatRequest request;
        request.set_host_id(options_.id);
        request.set_boot_id(options_.boot);
        request.set_load(load_);
        {
          const std::scoped_lock lock(mutex_);
          for (const auto& digest : compiled_) request.add_compiled_modules(digest);
        }
        status = stub->Heartbeat(&context, request, &response);
      }
      known = status.ok() && !response.unknown();
      const std::scoped_lock lock(mutex_);
      if (status.ok()) {
        state_ = {};
        last_ = response;
      } else {
        state_ = std::unexpected(to_error(status));
      }
    }
    std::this_thread::sleep_for(options_.heartbeat);
  }
}

}  // namespace aloft::cluster::testing
