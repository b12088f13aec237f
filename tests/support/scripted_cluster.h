// A cluster as a device sees it, played by a test: real gRPC servers over TLS that answer as
// aloft.v1.OffloadManager, and say what the test lets them say. The hosts that they give are real
// Execution Handlers, which check the tickets that are signed here.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "base/digest.h"
#include "host/execution_handler.h"
#include "identity/certificate.h"
#include "identity/signing_key.h"
#include "support/temp_dir.h"

namespace aloft::testing {

// What all managers and hosts of the cluster have in common. Thread rule: any thread.
class ScriptedCluster {
 public:
  explicit ScriptedCluster(std::string name = "test");

  struct Place {
    std::string host;
    std::string address;
    std::string boot_id;
  };
  // Hosts, the preferred first.
  void set_places(std::vector<Place> places);
  // Every session is at this host from now on.
  void move_all(const std::string& host);
  void close_all();
  // Asked before a session is opened; not OK: the answer.
  void admit_if(std::function<grpc::Status()> admit);
  void set_lifetime(std::chrono::milliseconds lifetime);
  void set_ping_delay(std::chrono::milliseconds delay);

  struct Heard {
    int opens = 0;
    int renewals = 0;
    int moves = 0;
    int closes = 0;
    int watches = 0;                    // now
    std::set<std::string> avoided;      // hosts, in moves
    std::set<std::string> tokens;       // shown
    std::set<std::string> client_keys;  // of opens
  };
  [[nodiscard]] Heard heard() const;
  [[nodiscard]] std::size_t sessions() const;
  // Waits until what is heard is so; false after 30 s.
  [[nodiscard]] bool wait_until(const std::function<bool(const Heard&)>& is_so) const;

  [[nodiscard]] const identity::Authority& authority() const { return authority_; }
  [[nodiscard]] const identity::SigningKey& ticket_key() const { return ticket_key_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  // A certificate of the cluster, for 127.0.0.1.
  [[nodiscard]] identity::IssuedCertificate issue(identity::Role role,
                                                  const std::string& name) const;

 private:
  friend class ScriptedManager;
  struct Kept {
    v1::Session session;
    Digest client_key;
    std::vector<Digest> modules;
    std::uint64_t revision = 0;
  };
  // Under the lock.
  bool place(Kept& kept, const std::set<std::string>& avoid, const std::string& to);
  void sign(Kept& kept);

  const std::string name_;
  const identity::Authority authority_;
  const identity::SigningKey ticket_key_ = identity::SigningKey::generate();
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Place> places_;
  std::map<std::string, Kept> sessions_;
  std::map<std::string, std::string> by_key_;  // idempotency key -> id
  std::function<grpc::Status()> admit_;
  std::chrono::milliseconds lifetime_{60'000};
  std::chrono::milliseconds ping_delay_{0};
  std::uint64_t revision_ = 0;
  int last_id_ = 0;
  Heard heard_;
};

// One manager of it. Listens on a port of 127.0.0.1 as long as it lives.
class ScriptedManager final : private v1::OffloadManager::Service {
 public:
  enum class Clients : std::uint8_t { certificates, tokens };
  explicit ScriptedManager(ScriptedCluster& cluster, Clients clients = Clients::certificates);
  ~ScriptedManager() override;  // at once: whatever it was asked is not answered
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  grpc::Status OpenSession(grpc::ServerContext* context, const v1::OpenSessionRequest* request,
                           v1::Session* answer) override;
  grpc::Status RenewSession(grpc::ServerContext*, const v1::RenewSessionRequest* request,
                            v1::Session* answer) override;
  grpc::Status MoveSession(grpc::ServerContext*, const v1::MoveSessionRequest* request,
                           v1::Session* answer) override;
  grpc::Status CloseSession(grpc::ServerContext*, const v1::CloseSessionRequest* request,
                            v1::CloseSessionResponse*) override;
  grpc::Status WatchSession(grpc::ServerContext* context, const v1::WatchSessionRequest* request,
                            grpc::ServerWriter<v1::Session>* writer) override;
  grpc::Status Ping(grpc::ServerContext*, const v1::PingRequest*,
                    v1::PingResponse* answer) override;

  ScriptedCluster& cluster_;
  bool stopping_ = false;  // under the cluster's lock
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A host of it: a real Execution Handler in this process, with TLS and a gate.
class ScriptedHost {
 public:
  ScriptedHost(const ScriptedCluster& cluster, const std::string& name, std::uint16_t port = 0);
  ~ScriptedHost();
  [[nodiscard]] const ScriptedCluster::Place& place() const { return place_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] host::ExecutionHandler& handler() { return *handler_; }

 private:
  TempDir folder_;
  std::uint16_t port_ = 0;
  ScriptedCluster::Place place_;
  std::unique_ptr<host::ExecutionHandler> handler_;
};

}  // namespace aloft::testing
