// Several hosts on one machine: each a network namespace with an interface and an address of its
// own, all on one bridge, which is in a namespace of its own as well, so that nothing outside sees
// any of it.
//
//   auto network = Network::make();
//   network->add_host("device");
//   network->add_host("edge");
//   auto edge = Process::start(network->command("edge", {bin("aloft-exec"), "--listen",
//                                                       network->address("edge") + ":7411", ...}));
//   network->cut("edge");    // silently: no end of the connection is told
//   network->heal("edge");
//   network->cut_between("device", "edge");  // and nobody else
//
// It needs root, and the programs ip, tc and bridge; a test asks what_is_missing() first and is
// skipped with its answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::testing {

// What a link carries: a token bucket in each direction.
struct Shape {
  std::uint64_t bits_per_second = 0;
  std::chrono::milliseconds queue{50};  // what waits longer is dropped
};

// Thread rule: one thread at a time. Errors of all methods: refused or internal, with what the
// program said that did not do its work; not_found for a host that was not added.
class Network {
 public:
  [[nodiscard]] static std::optional<std::string> what_is_missing();

  // Also removes what is left of networks whose test process was killed.
  [[nodiscard]] static Result<Network> make();
  Network(Network&& other) noexcept;
  Network& operator=(Network&&) = delete;
  ~Network();  // what runs in it loses its network

  // `name`: letters and digits, at most 8.
  [[nodiscard]] Result<void> add_host(const std::string& name);
  // "10.77.0.2"; the name must be of a host.
  [[nodiscard]] const std::string& address(const std::string& name) const;
  // `command` as it runs on that host: the process started is the command's own.
  [[nodiscard]] std::vector<std::string> command(const std::string& name,
                                                 std::vector<std::string> command) const;
  // The calling thread is on that host from now on; sockets that it has stay where they are.
  [[nodiscard]] Result<void> enter(const std::string& name) const;

  // Nothing comes or goes, and nobody is told. Cutting what is cut, and healing what is whole, does
  // nothing.
  [[nodiscard]] Result<void> cut(const std::string& name);
  [[nodiscard]] Result<void> heal(const std::string& name);
  // The same between two hosts alone: each reaches all others.
  [[nodiscard]] Result<void> cut_between(const std::string& one, const std::string& other);
  [[nodiscard]] Result<void> heal_between(const std::string& one, const std::string& other);
  [[nodiscard]] Result<void> shape(const std::string& name, const Shape& shape);

 private:
  explicit Network(std::string prefix) : prefix_(std::move(prefix)) {}
  [[nodiscard]] std::string namespace_of(const std::string& name) const;
  [[nodiscard]] Result<void> set_port(const std::string& name, const char* state);
  [[nodiscard]] Result<void> on_both(const std::string& one, const std::string& other,
                                     const std::vector<std::string>& neighbour_command);

  std::string prefix_;                            // of its namespaces' names; empty when moved from
  std::map<std::string, std::string> addresses_;  // by host
};

}  // namespace aloft::testing
