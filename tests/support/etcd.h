// A real etcd for tests: one member or a cluster of several, on the loopback interface unless they
// are told where, in processes of their own that can be killed, stopped and started again.
//
//   TempDir folder;
//   auto etcd = EtcdCluster::start(folder.path(), {.members = 3});
//   ASSERT_TRUE(etcd) << etcd.error().message;
//   auto leader = etcd->leader(10s);
//   etcd->kill(*leader);
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "process.h"
#include <aloft/result.h>

namespace aloft::testing {

// Where a member runs when it does not run here.
struct EtcdPlace {
  std::string address;  // IP, which this process can reach
  // The command that runs a command there.
  std::function<std::vector<std::string>(std::vector<std::string>)> on;
};

struct EtcdClusterOptions {
  std::size_t members = 1;
  std::vector<EtcdPlace> places = {};  // of each member; none: all run here
  std::uint64_t quota_bytes = 0;       // of its database; 0: etcd's own
  // PEM files; with them clients come over TLS, and must show a certificate of the authority.
  // leader() and compact() are for clusters in clear.
  std::filesystem::path certificate = {}, key = {}, authority = {};
};

// Thread rule: one thread at a time; start() from one that outlives the cluster.
class EtcdCluster {
 public:
  // Returns once clients are served. Errors: not_found (no etcd: ./dev setup fetches it), internal
  // with what it said.
  [[nodiscard]] static Result<EtcdCluster> start(const std::filesystem::path& folder,
                                                 EtcdClusterOptions options = {});

  [[nodiscard]] std::vector<std::string> endpoints() const;  // HOST:PORT
  [[nodiscard]] std::string endpoint(std::size_t member) const;
  [[nodiscard]] std::size_t size() const { return members_.size(); }
  [[nodiscard]] pid_t pid(std::size_t member) const { return members_[member].process->pid(); }

  void kill(std::size_t member);    // SIGKILL, and waits for its end
  void stop(std::size_t member);    // SIGSTOP: it keeps its connections, and is silent
  void resume(std::size_t member);  // after stop()
  // One that was killed, with what it has on the disk. Does not wait for it.
  [[nodiscard]] Result<void> restart(std::size_t member);

  // Which one leads, as soon as one does.
  [[nodiscard]] std::optional<std::size_t> leader(std::chrono::milliseconds limit) const;
  // Makes it forget all revisions before this one.
  [[nodiscard]] Result<void> compact(std::uint64_t revision) const;
  // What the members said, for the message of a failed test.
  [[nodiscard]] std::string transcript() const;

 private:
  struct Member {
    std::string address = "127.0.0.1";
    std::uint16_t client_port = 0, peer_port = 0;
    std::vector<std::string> command;
    std::optional<Process> process;
  };
  EtcdCluster() = default;
  [[nodiscard]] Result<void> await_service();

  std::vector<Member> members_;
};

}  // namespace aloft::testing
