// A cluster of one manager and one host on the loopback interface, all of it as an operator has it:
// keys of `aloft cluster init`, modules in a repository, the programs themselves; and devices of
// its tenants that speak to it as they like.
//
//   auto cluster = LocalCluster::start(folder.path(), {.tenants = "[tenants.acme]\n..."});
//   const ClusterDevice device = (*cluster)->device("acme");
//   const auto session = device.open({&probe});
//   const auto ue = device.connect(session->placement());
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include "aloft/v1/offload_manager.grpc.pb.h"
#include "base/digest.h"
#include "identity/certificate.h"
#include "support/process.h"
#include "support/raw_ue.h"
#include <aloft/result.h>

namespace aloft::testing {

// A device with a certificate of a tenant's. Thread rule: any thread, but for closing it.
class ClusterDevice {
 public:
  using Stub = v1::OffloadManager::Stub;

  ClusterDevice(std::string manager, std::string authority_pem, identity::IssuedCertificate own);

  [[nodiscard]] Digest key() const;
  [[nodiscard]] const identity::IssuedCertificate& certificate() const { return own_; }
  [[nodiscard]] Stub& manager() const { return *stub_; }

  // A session for this device's key. Errors: what the manager says.
  struct Wanted {
    std::uint64_t memory_bytes = std::uint64_t{256} << 20U;
    std::uint32_t cpu_millicores = 500;
    std::chrono::milliseconds limit{60'000};
  };
  [[nodiscard]] Result<v1::Session> open(const std::vector<const ModuleFile*>& modules) const {
    return open(modules, Wanted());
  }
  [[nodiscard]] Result<v1::Session> open(const std::vector<const ModuleFile*>& modules,
                                         const Wanted& wanted) const;
  // A call of this name with this session's id.
  template <class Request, class Response>
  grpc::Status ask(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response& response) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return (stub_.get()->*method)(&context, request, &response);
  }
  [[nodiscard]] Result<v1::Session> renew(const std::string& session) const;
  [[nodiscard]] grpc::Status close(const std::string& session) const;

  // To where the session is, with this device's key; with its ticket, or with this in its place.
  [[nodiscard]] std::unique_ptr<RawUe> connect(const v1::Placement& placement) const;
  [[nodiscard]] std::unique_ptr<RawUe> connect(const std::string& address,
                                               std::vector<std::byte> hello) const;

 private:
  std::string authority_, address_;
  identity::IssuedCertificate own_;
  std::shared_ptr<Stub> stub_;
};

struct LocalClusterOptions {
  std::string tenants;  // the tenants file; publisher.pub, beside it, is a publisher's key
  std::vector<std::filesystem::path> modules = {};  // .wasm, pushed without a signature
  std::vector<std::string> manager_arguments = {}, host_arguments = {};
};

// Thread rule: one thread, which outlives it.
class LocalCluster {
 public:
  // Returns once the host is registered. `folder` is empty, and the caller's. Errors: internal,
  // with what a program said.
  [[nodiscard]] static Result<std::unique_ptr<LocalCluster>> start(
      const std::filesystem::path& folder, LocalClusterOptions options);
  ~LocalCluster();  // ends all of it
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  // Aborts the test program where no certificate can be made.
  [[nodiscard]] ClusterDevice device(const std::string& tenant) const;
  [[nodiscard]] const std::string& manager() const { return manager_address_; }  // HOST:PORT
  [[nodiscard]] std::filesystem::path keys() const { return folder_ / "keys"; }
  [[nodiscard]] std::filesystem::path repository() const { return folder_ / "repository"; }
  [[nodiscard]] std::filesystem::path host_state() const { return folder_ / "host"; }
  // What `aloft ARGUMENTS...` prints. Errors: internal, with what it said.
  [[nodiscard]] Result<std::string> aloft(std::vector<std::string> arguments) const;
  [[nodiscard]] Result<void> push(const std::filesystem::path& module,
                                  std::vector<std::string> more = {}) const;

  [[nodiscard]] Process& manager_process() { return *manager_; }
  [[nodiscard]] Process& host_process() { return *host_; }
  // What the programs said, for the message of a failed test.
  [[nodiscard]] std::string transcript() const;

 private:
  explicit LocalCluster(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] Result<void> start(const LocalClusterOptions& options);

  const std::filesystem::path folder_;
  std::string authority_;
  std::string manager_address_;
  std::optional<identity::Authority> issuer_;
  std::optional<Process> manager_, host_;
};

}  // namespace aloft::testing
