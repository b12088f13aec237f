// A whole cluster on this machine, each of its parts on a host of its own (netns.h): managers m1,
// m2, ..., hosts h1, h2, ..., members of etcd e1, e2, ..., and a host `device` for whatever uses
// it. All of it is as an operator has it: keys of `aloft cluster init`, a signed module in a
// repository, the programs themselves.
//
//   auto cluster = ClusterInNamespaces::start(folder, {.hosts = 2, .managers = 2, .etcd = 3});
//   auto device = Process::start(cluster->on("device", {...}), {.environment =
//   cluster->environment()}); cluster->kill("h1");                          // SIGKILL; what it had
//   started ends with it cluster->network().cut_between("h2", "m1"); cluster->start("h1");
//
// It needs root. Nothing of it outlives this process, whatever that dies of; what is left of the
// namespaces goes when the next one starts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <sys/types.h>

#include "etcd.h"
#include "netns.h"
#include "process.h"
#include <aloft/result.h>

namespace aloft::testing {

struct ClusterLayout {
  std::size_t hosts = 2;
  std::size_t managers = 2;
  std::size_t etcd = 3;                             // 0: the store of the one manager is embedded
  std::vector<std::filesystem::path> modules = {};  // .wasm, pushed and signed
  // More of their programs' own.
  std::vector<std::string> manager_arguments = {};
  std::vector<std::string> host_arguments = {};
  // Name of a host or manager -> bytes of the disk that its state is on; the others' has no limit.
  std::map<std::string, std::uint64_t> small_disks = {};
  // Hosts and managers whose clock on the wall can be stepped (libstepped_clock.so is to be there).
  std::set<std::string> stepped_clocks = {};
};

// Thread rule: the thread that calls start(), which enters the network and stays in it: there is
// one cluster at a time in a process, and none after another that this process had.
class ClusterInNamespaces {
 public:
  // Why it cannot be here; none: it can.
  [[nodiscard]] static std::optional<std::string> what_is_missing();
  // Returns once every host is registered. `folder` is empty, and the caller's to remove. Errors:
  // invalid_argument (a layout that cannot be), and whatever a program said that did not start.
  [[nodiscard]] static Result<std::unique_ptr<ClusterInNamespaces>> start(
      const std::filesystem::path& folder, ClusterLayout layout);
  ~ClusterInNamespaces();  // ends all of it, hosts first
  ClusterInNamespaces(const ClusterInNamespaces&) = delete;
  ClusterInNamespaces& operator=(const ClusterInNamespaces&) = delete;

  // --- To use it
  [[nodiscard]] std::vector<std::string> on(const std::string& name,
                                            std::vector<std::string> command) const;
  // ALOFT_MANAGER, ALOFT_CREDENTIALS, ALOFT_REPOSITORY, and aloft's programs in PATH.
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  [[nodiscard]] std::filesystem::path keys() const { return folder_ / "keys"; }
  [[nodiscard]] std::vector<std::string> managers() const;  // HOST:PORT
  // What `aloft ARGUMENTS...` prints. Errors: internal, with what it said.
  [[nodiscard]] Result<std::string> aloft(std::vector<std::string> arguments) const;

  // --- To break it. A name that is of no part: not_found.
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] EtcdCluster& etcd() { return *etcd_; }  // with a layout that has one
  // Names of all parts, of one kind ('h', 'm', 'e') or of all.
  [[nodiscard]] std::vector<std::string> names(char kind = 0) const;
  // SIGKILL, and waits for its end. Not running: nothing happens.
  [[nodiscard]] Result<void> kill(const std::string& name);
  // SIGTERM, and waits for its end; SIGKILL after 10 s.
  [[nodiscard]] Result<void> end(const std::string& name);
  // One that does not run, with what it had on its disk; `more` arguments from now on. Returns once
  // it is ready (a member of etcd: at once). Errors: what it said.
  [[nodiscard]] Result<void> start(const std::string& name, std::vector<std::string> more = {});
  [[nodiscard]] std::optional<pid_t> pid(const std::string& name) const;  // none: it does not run
  // Of a host: the process that serves its tenants (of one of them, where there are more).
  [[nodiscard]] std::optional<pid_t> tenant_process(const std::string& host) const;

  // Of one with a small disk: fills it up; makes room again.
  [[nodiscard]] Result<void> fill_disk(const std::string& name);
  [[nodiscard]] Result<void> free_disk(const std::string& name);

  // Of one with such a clock, and all that it has started: from now on its clock on the wall is so
  // much ahead of the machine's, at once.
  [[nodiscard]] Result<void> step_clock(const std::string& name, std::chrono::seconds ahead);

  // What the parts said, for the message of a failed test.
  [[nodiscard]] std::string transcript() const;

 private:
  struct Part {
    std::vector<std::string> command;
    std::string ready;  // in the line that says that it is
    std::optional<Process> process;
    std::string said;  // by its earlier processes
  };
  ClusterInNamespaces(std::filesystem::path folder, ClusterLayout layout, Network network);
  [[nodiscard]] Result<void> add_hosts();
  [[nodiscard]] Result<void> make_keys() const;
  [[nodiscard]] Result<void> push_modules() const;
  [[nodiscard]] Result<void> start_all();
  void add_manager(const std::string& name);
  void add_host(const std::string& name, std::uint64_t first_user);
  // The command as it runs there: with its disk and its clock.
  [[nodiscard]] std::vector<std::string> placed(const std::string& name,
                                                std::vector<std::string> command) const;
  [[nodiscard]] std::optional<std::size_t> member(const std::string& name) const;
  [[nodiscard]] Result<Part*> part(const std::string& name);
  void retire(Part& part);
  [[nodiscard]] std::filesystem::path state(const std::string& name) const {
    return folder_ / name;
  }
  [[nodiscard]] std::filesystem::path clock_file(const std::string& name) const {
    return folder_ / (name + ".clock");
  }
  // Its state as the part's own process sees it.
  [[nodiscard]] Result<std::filesystem::path> state_inside(const std::string& name);

  const std::filesystem::path folder_;
  const ClusterLayout layout_;
  Network network_;
  std::optional<EtcdCluster> etcd_;
  std::set<std::string> dead_members_;
  std::map<std::string, Part> parts_;
};

}  // namespace aloft::testing
