#include "cluster/testing/simulated_host.h"

#include <algorithm>
#include <utility>

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "rpc/status.h"

namespace aloft::cluster::testing {
namespace {

constexpr std::size_t kNamed = 64;  // placements in a heartbeat

template <class Request>
std::string place_of(const Request& request) {
  return request.session_id() + "/" + std::to_string(request.generation());
}

}  // namespace

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
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

Digest SimulatedHost::key() const { return identity::public_key_digest(certificate_).value(); }

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

void SimulatedHost::inspect_with(
    std::function<grpc::Status(const v1::InspectModuleRequest&, v1::InspectModuleResponse&)>
        answer) {
  const std::scoped_lock lock(mutex_);
  inspect_ = std::move(answer);
}

void SimulatedHost::count(v1::ModuleCounts counts) {
  const std::scoped_lock lock(mutex_);
  std::string digest = counts.digest();
  counts_.insert_or_assign(std::move(digest), std::move(counts));
}

std::size_t SimulatedHost::prepared() const {
  const std::scoped_lock lock(mutex_);
  return prepared_;
}

std::set<std::string> SimulatedHost::sessions() const {
  const std::scoped_lock lock(mutex_);
  std::set<std::string> all;
  for (const auto& [session, memory] : sessions_) all.insert(session);
  return all;
}

std::uint64_t SimulatedHost::most_memory() const {
  const std::scoped_lock lock(mutex_);
  return most_memory_;
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
  const std::uint64_t memory = request->resources().memory_bytes();
  if (sessions_.emplace(place_of(*request), memory).second) memory_ += memory;
  most_memory_ = std::max(most_memory_, memory_);
  response->set_address("127.0.0.1:9");
  response->set_boot_id(boot_of(request->tenant()));
  return grpc::Status::OK;
}

grpc::Status SimulatedHost::InspectModule(grpc::ServerContext*,
                                          const v1::InspectModuleRequest* request,
                                          v1::InspectModuleResponse* response) {
  decltype(inspect_) answer;
  {
    const std::scoped_lock lock(mutex_);
    answer = inspect_;
  }
  response->set_name(request->module().name());
  auto* const function = response->add_functions();
  function->set_name("f");
  function->set_hash("1");
  return answer ? answer(*request, *response) : grpc::Status::OK;
}

grpc::Status SimulatedHost::Release(grpc::ServerContext*, const v1::ReleaseRequest* request,
                                    v1::ReleaseResponse*) {
  const std::scoped_lock lock(mutex_);
  forget(place_of(*request));
  return grpc::Status::OK;
}

void SimulatedHost::forget(const std::string& place) {
  const auto found = sessions_.find(place);
  if (found == sessions_.end()) return;
  memory_ -= found->second;
  sessions_.erase(found);
}

void SimulatedHost::beat() {
  const auto credentials = grpc::SslCredentials(
      {.pem_root_certs = ca_, .pem_private_key = key_, .pem_cert_chain = certificate_});
  std::vector<std::unique_ptr<v1::Hosts::Stub>> stubs;
  for (const auto& manager : options_.managers) {
    stubs.push_back(v1::Hosts::NewStub(grpc::CreateChannel(manager, credentials)));
  }
  bool known = false;
  for (std::size_t turn = 0; !stubs.empty(); ++turn) {
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
          for (const std::string& asked : last_.counted_modules()) {
            const auto counts = counts_.find(asked);
            if (counts != counts_.end()) *request.add_module_counts() = counts->second;
          }
          // In turns, those before the last one that was named come after it.
          for (std::size_t i = 0; i < std::min(sessions_.size(), kNamed); ++i) {
            auto at = sessions_.upper_bound(named_);
            if (at == sessions_.end()) at = sessions_.begin();
            named_ = at->first;
            const auto slash = named_.find('/');
            auto* const placement = request.add_placements();
            placement->set_session_id(named_.substr(0, slash));
            placement->set_generation(std::stoull(named_.substr(slash + 1)));
          }
        }
        status = stub->Heartbeat(&context, request, &response);
      }
      known = status.ok() && !response.unknown();
      const std::scoped_lock lock(mutex_);
      if (status.ok()) {
        state_ = {};
        last_ = response;
        ++beats_;
        for (const auto& ended : response.ended()) forget(place_of(ended));
      } else {
        state_ = std::unexpected(rpc::to_error(status));
      }
    }
    std::unique_lock lock(mutex_);
    if (ended_.wait_for(lock, options_.heartbeat, [&] { return ending_; })) return;
  }
}

}  // namespace aloft::cluster::testing
