#include "support/scripted_cluster.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <thread>
#include <utility>

#include "channel/tls.h"
#include "host/gate.h"
#include "host/process/listening_socket.h"
#include "identity/ticket.h"
#include "rpc/status.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr identity::ClusterTime kNow{1'000'000};
constexpr std::string_view kTenant = "default";

// A test cannot go on without.
template <class T>
T value_of(Result<T> result, std::string_view what) {
  if (result) return *std::move(result);
  std::cerr << "error: " << what << ": " << result.error().message << '\n';
  std::abort();
}

std::string boot_id() {
  static std::atomic<int> last = 0;
  return "boot-" + std::to_string(++last);
}

grpc::Status not_found() { return {grpc::StatusCode::NOT_FOUND, "no such session"}; }

}  // namespace

// --- The cluster

ScriptedCluster::ScriptedCluster(std::string name)
    : name_(std::move(name)),
      authority_(value_of(identity::Authority::create(name_), "the authority")) {}

identity::IssuedCertificate ScriptedCluster::issue(identity::Role role,
                                                   const std::string& name) const {
  return value_of(authority_.issue({.identity = {.cluster = name_, .role = role, .name = name},
                                    .hosts = {"127.0.0.1"}}),
                  "a certificate");
}

void ScriptedCluster::set_places(std::vector<Place> places) {
  const std::lock_guard lock(mutex_);
  places_ = std::move(places);
}

void ScriptedCluster::move_all(const std::string& host) {
  const std::lock_guard lock(mutex_);
  for (auto& [id, kept] : sessions_) (void)place(kept, {}, host);
  changed_.notify_all();
}

void ScriptedCluster::close_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, kept] : sessions_) {
    kept.session.set_state(v1::Session::CLOSED);
    kept.revision = ++revision_;
  }
  changed_.notify_all();
}

void ScriptedCluster::admit_if(std::function<grpc::Status()> admit) {
  const std::lock_guard lock(mutex_);
  admit_ = std::move(admit);
}

void ScriptedCluster::set_lifetime(std::chrono::milliseconds lifetime) {
  const std::lock_guard lock(mutex_);
  lifetime_ = lifetime;
}

void ScriptedCluster::set_ping_delay(std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  ping_delay_ = delay;
}

ScriptedCluster::Heard ScriptedCluster::heard() const {
  const std::lock_guard lock(mutex_);
  return heard_;
}

std::size_t ScriptedCluster::sessions() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(sessions_, [](const auto& entry) {
    return entry.second.session.state() != v1::Session::CLOSED;
  }));
}

bool ScriptedCluster::wait_until(const std::function<bool(const Heard&)>& is_so) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 30s, [&] { return is_so(heard_); });
}

void ScriptedCluster::sign(Kept& kept) {
  v1::Placement& placement = *kept.session.mutable_placement();
  const auto at = std::ranges::find(places_, placement.host_id(),
                                    [](const Place& place) { return place.host; });
  const identity::Ticket ticket{
      .tenant = std::string(kTenant),
      .session = kept.session.id(),
      .generation = placement.generation(),
      .modules = kept.modules,
      .client_key = kept.client_key,
      .host = placement.host_id(),
      .handler_boot = at == places_.end() ? "gone" : at->boot_id,
      .issued = kNow,
      // So that no two are the same.
      .expires = kNow + identity::ClusterTime(60'000 + static_cast<std::int64_t>(++revision_)),
      .limits = {}};
  const auto sealed = value_of(identity::seal(ticket, ticket_key_), "a ticket");
  placement.set_ticket(sealed.data(), sealed.size());
  kept.session.set_renew_within_ms(static_cast<std::uint32_t>(lifetime_.count()));
}

bool ScriptedCluster::place(Kept& kept, const std::set<std::string>& avoid, const std::string& to) {
  const auto at = std::ranges::find_if(places_, [&](const Place& place) {
    return to.empty() ? !avoid.contains(place.host) : place.host == to;
  });
  if (at == places_.end()) return false;
  v1::Placement& placement = *kept.session.mutable_placement();
  placement.set_host_id(at->host);
  placement.set_address(at->address);
  placement.set_data_plane_authority(authority_.certificate_pem());
  placement.set_generation(placement.generation() + 1);
  kept.session.set_state(v1::Session::PLACED);
  sign(kept);
  kept.revision = revision_;
  return true;
}

// --- A manager

ScriptedManager::ScriptedManager(ScriptedCluster& cluster, Clients clients) : cluster_(cluster) {
  const auto issued = cluster.issue(identity::Role::manager, "m1");
  grpc::SslServerCredentialsOptions tls(
      clients == Clients::certificates ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  tls.pem_root_certs = cluster.authority().certificate_pem();
  tls.pem_key_cert_pairs.push_back({issued.key_pem, issued.certificate_pem});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
}

ScriptedManager::~ScriptedManager() {
  {
    const std::lock_guard lock(cluster_.mutex_);
    stopping_ = true;
    cluster_.changed_.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

grpc::Status ScriptedManager::OpenSession(grpc::ServerContext* context,
                                          const v1::OpenSessionRequest* request,
                                          v1::Session* answer) {
  const std::lock_guard lock(cluster_.mutex_);
  ScriptedCluster::Heard& heard = cluster_.heard_;
  ++heard.opens;
  cluster_.changed_.notify_all();
  const auto token = context->client_metadata().find("authorization");
  if (token != context->client_metadata().end())
    heard.tokens.insert({token->second.data(), token->second.size()});
  if (cluster_.admit_) {
    if (auto status = cluster_.admit_(); !status.ok()) {
      context->AddTrailingMetadata(rpc::kRetryAfter, "50");
      return status;
    }
  }
  std::string& id = cluster_.by_key_[request->idempotency_key()];
  if (!id.empty()) {
    *answer = cluster_.sessions_.at(id).session;
    return grpc::Status::OK;
  }
  ScriptedCluster::Kept kept;
  kept.session.set_id(cluster_.name_ + "-" + std::to_string(++cluster_.last_id_));
  kept.session.set_tenant(std::string(kTenant));
  for (const v1::ModuleRef& module : request->modules()) {
    const auto digest = Digest::parse(module.digest());
    if (!digest) return {grpc::StatusCode::INVALID_ARGUMENT, "a module has no digest"};
    kept.modules.push_back(*digest);
    *kept.session.add_modules() = module;
  }
  const std::string& key = request->client_key_sha256();
  if (key.size() != kept.client_key.bytes.size())
    return {grpc::StatusCode::INVALID_ARGUMENT, "the device's key has no SHA-256"};
  std::memcpy(kept.client_key.bytes.data(), key.data(), key.size());
  heard.client_keys.insert(kept.client_key.hex());
  const std::set<std::string> avoid(request->avoid_hosts().begin(), request->avoid_hosts().end());
  if (!cluster_.place(kept, avoid, "")) return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no room"};
  id = kept.session.id();
  *answer = kept.session;
  cluster_.sessions_[id] = std::move(kept);
  return grpc::Status::OK;
}

grpc::Status ScriptedManager::RenewSession(grpc::ServerContext*,
                                           const v1::RenewSessionRequest* request,
                                           v1::Session* answer) {
  const std::lock_guard lock(cluster_.mutex_);
  ++cluster_.heard_.renewals;
  cluster_.changed_.notify_all();
  const auto found = cluster_.sessions_.find(request->id());
  if (found == cluster_.sessions_.end() || found->second.session.state() == v1::Session::CLOSED)
    return not_found();
  cluster_.sign(found->second);
  *answer = found->second.session;
  return grpc::Status::OK;
}

grpc::Status ScriptedManager::MoveSession(grpc::ServerContext*,
                                          const v1::MoveSessionRequest* request,
                                          v1::Session* answer) {
  const std::lock_guard lock(cluster_.mutex_);
  ++cluster_.heard_.moves;
  const std::set<std::string> avoid(request->avoid_hosts().begin(), request->avoid_hosts().end());
  cluster_.heard_.avoided.insert(avoid.begin(), avoid.end());
  cluster_.changed_.notify_all();
  const auto found = cluster_.sessions_.find(request->id());
  if (found == cluster_.sessions_.end()) return not_found();
  if (!cluster_.place(found->second, avoid, request->to_host()))
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no other host has room"};
  *answer = found->second.session;
  return grpc::Status::OK;
}

grpc::Status ScriptedManager::CloseSession(grpc::ServerContext*,
                                           const v1::CloseSessionRequest* request,
                                           v1::CloseSessionResponse*) {
  const std::lock_guard lock(cluster_.mutex_);
  ++cluster_.heard_.closes;
  const auto found = cluster_.sessions_.find(request->id());
  if (found != cluster_.sessions_.end()) {
    found->second.session.set_state(v1::Session::CLOSED);
    found->second.revision = ++cluster_.revision_;
  }
  cluster_.changed_.notify_all();
  return grpc::Status::OK;
}

grpc::Status ScriptedManager::WatchSession(grpc::ServerContext* context,
                                           const v1::WatchSessionRequest* request,
                                           grpc::ServerWriter<v1::Session>* writer) {
  constexpr auto kLook = 20ms;  // gRPC does not tell a synchronous server of a cancelled call
  std::unique_lock lock(cluster_.mutex_);
  ++cluster_.heard_.watches;
  cluster_.changed_.notify_all();
  std::uint64_t told = 0;
  grpc::Status status;
  while (!stopping_ && !context->IsCancelled()) {
    const auto found = cluster_.sessions_.find(request->id());
    if (found == cluster_.sessions_.end()) {
      status = not_found();
      break;
    }
    if (found->second.revision > told) {
      told = found->second.revision;
      const v1::Session session = found->second.session;
      lock.unlock();
      const bool written = writer->Write(session);
      lock.lock();
      if (!written || session.state() == v1::Session::CLOSED) break;
      continue;
    }
    cluster_.changed_.wait_for(lock, kLook);
  }
  --cluster_.heard_.watches;
  cluster_.changed_.notify_all();
  return status;
}

grpc::Status ScriptedManager::Ping(grpc::ServerContext*, const v1::PingRequest*,
                                   v1::PingResponse* answer) {
  std::chrono::milliseconds delay{};
  {
    const std::lock_guard lock(cluster_.mutex_);
    delay = cluster_.ping_delay_;
  }
  std::this_thread::sleep_for(delay);  // as far as it is away
  answer->set_cluster(cluster_.name_);
  answer->set_api_version(1);
  return grpc::Status::OK;
}

// --- A host

ScriptedHost::ScriptedHost(const ScriptedCluster& cluster, const std::string& name,
                           std::uint16_t port) {
  const auto issued = cluster.issue(identity::Role::host, name);
  if (auto saved = identity::save(issued, folder_.path(), "host"); !saved) std::abort();
  auto gate = std::make_shared<host::Gate>(
      host::GateOptions{.tenant = std::string(kTenant), .host = name, .boot_id = boot_id()});
  gate->trust({cluster.ticket_key().verifying()});
  gate->hear_time(kNow);
  place_ = {.host = name, .address = {}, .boot_id = gate->boot_id()};

  host::ExecutionHandlerOptions options;
  options.repository = binary_dir() / "modules";
  options.cache = folder_ / "cache";
  options.session.instance.memory_bytes = 64U << 20U;
  options.gate = gate;
  options.boot_id = gate->boot_id();
  options.tls = value_of(channel::TlsContext::server(
                             {.certificate = folder_ / "host.pem", .key = folder_ / "host.key"},
                             channel::TlsContext::Clients::with_a_key),
                         "TLS");
  handler_ = value_of(
      host::ExecutionHandler::create(std::move(options), {.hand_over = [] {}, .end = [] {}}),
      "an Execution Handler");
  auto socket = value_of(host::ListeningSocket::open({"127.0.0.1", port}), "a socket");
  port_ = socket.address().port;
  place_.address = socket.address().to_string();
  (void)value_of(handler_->serve(socket.duplicate()), "serving");
}

ScriptedHost::~ScriptedHost() = default;

}  // namespace aloft::testing
