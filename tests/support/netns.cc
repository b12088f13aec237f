#include "netns.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "process.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kSwitch = "switch";  // the bridge's host
constexpr const char* kBridge = "bridge0";
constexpr const char* kInterface = "eth0";  // of each host
constexpr std::string_view kPrefix = "aloft-";
constexpr const char* kNamespaces = "/run/netns";

Result<void> run(std::vector<std::string> command) {
  std::string line;
  for (const std::string& word : command) line += word + " ";
  auto process = Process::start(std::move(command));
  if (!process) return std::unexpected(process.error());
  const auto status = process->wait(10s);
  if (status == 0) return {};
  return fail(Errc::refused, line + "failed: " + process->standard_error());
}

Result<void> run_all(std::vector<std::vector<std::string>> commands) {
  for (auto& command : commands) {
    if (auto done = run(std::move(command)); !done) return done;
  }
  return {};
}

// "aloft-1234-edge" of a process 1234 that is gone.
bool is_left_over(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  pid_t owner = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), owner);
  return error == std::errc() && end != name.data() + name.size() && *end == '-' && owner > 0 &&
         ::kill(owner, 0) != 0 && errno == ESRCH;
}

std::vector<std::string> namespaces() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(kNamespaces, error))
    names.push_back(entry.path().filename().string());
  return names;
}

}  // namespace

std::optional<std::string> Network::what_is_missing() {
  if (::geteuid() != 0) return "network namespaces need root";
  for (const char* program : {"ip", "tc", "bridge"}) {
    if (!run({program, "-V"})) return std::string("there is no program ") + program;
  }
  const std::string probe = std::string(kPrefix) + std::to_string(::getpid()) + "-probe";
  if (auto added = run({"ip", "netns", "add", probe}); !added)
    return "no network namespace can be made here: " + added.error().message;
  auto bridge = run({"ip", "-n", probe, "link", "add", "name", kBridge, "type", "bridge"});
  static_cast<void>(run({"ip", "netns", "del", probe}));
  if (!bridge) return "no bridge can be made here: " + bridge.error().message;
  return std::nullopt;
}

Result<Network> Network::make() {
  for (const std::string& name : namespaces()) {
    if (is_left_over(name)) static_cast<void>(run({"ip", "netns", "del", name}));
  }
  // A test process may have one network after the other, and two at a time.
  static int number = 0;
  Network network(std::string(kPrefix) + std::to_string(::getpid()) + "-" +
                  std::to_string(++number) + "-");
  const std::string hub = network.namespace_of(kSwitch);
  auto made = run_all({{"ip", "netns", "add", hub},
                       {"ip", "-n", hub, "link", "add", "name", kBridge, "type", "bridge"},
                       {"ip", "-n", hub, "link", "set", kBridge, "up"}});
  if (!made) return std::unexpected(made.error());
  return network;
}

Network::Network(Network&& other) noexcept
    : prefix_(std::exchange(other.prefix_, {})), addresses_(std::move(other.addresses_)) {}

Network::~Network() {
  if (prefix_.empty()) return;
  for (const std::string& name : namespaces()) {
    if (name.starts_with(prefix_)) static_cast<void>(run({"ip", "netns", "del", name}));
  }
}

std::string Network::namespace_of(const std::string& name) const { return prefix_ + name; }

Result<void> Network::add_host(const std::string& name) {
  const std::string hub = namespace_of(kSwitch);
  const std::string host = namespace_of(name);
  const std::string address = "10.77.0." + std::to_string(addresses_.size() + 1);
  auto made = run_all({{"ip", "netns", "add", host},
                       {"ip", "-n", hub, "link", "add", "name", name, "type", "veth", "peer",
                        "name", kInterface, "netns", host},
                       {"ip", "-n", hub, "link", "set", name, "master", kBridge, "up"},
                       {"ip", "-n", host, "link", "set", "lo", "up"},
                       {"ip", "-n", host, "link", "set", kInterface, "up"},
                       // No duplicate address detection or the like: it is usable at once.
                       {"ip", "-n", host, "addr", "add", address + "/24", "dev", kInterface}});
  if (made) addresses_.emplace(name, address);
  return made;
}

const std::string& Network::address(const std::string& name) const { return addresses_.at(name); }

std::vector<std::string> Network::command(const std::string& name,
                                          std::vector<std::string> command) const {
  // `ip netns exec` becomes the command: it does not stay as its parent.
  std::vector<std::string> whole{"ip", "netns", "exec", namespace_of(name)};
  whole.insert(whole.end(), std::make_move_iterator(command.begin()),
               std::make_move_iterator(command.end()));
  return whole;
}

Result<void> Network::enter(const std::string& name) const {
  const std::string path = std::string(kNamespaces) + "/" + namespace_of(name);
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Errc::not_found, path + ": " + std::strerror(errno));
  const int entered = ::setns(fd, CLONE_NEWNET);
  const int error = errno;
  ::close(fd);
  if (entered != 0) return fail(Errc::refused, path + ": " + std::strerror(error));
  return {};
}

// A bridge port that is disabled drops what comes and goes, with its carrier up.
Result<void> Network::cut(const std::string& name) { return set_port(name, "0"); }
Result<void> Network::heal(const std::string& name) { return set_port(name, "3"); }

// Each sends what is for the other to an address of the Ethernet that nobody has.
Result<void> Network::cut_between(const std::string& one, const std::string& other) {
  return on_both(one, other, {"replace", "lladdr", "02:00:00:00:00:fe", "nud", "permanent"});
}
Result<void> Network::heal_between(const std::string& one, const std::string& other) {
  // Where nothing was cut there may be no entry to delete: it is made first.
  if (auto made = cut_between(one, other); !made) return made;
  return on_both(one, other, {"del"});
}

Result<void> Network::on_both(const std::string& one, const std::string& other,
                              const std::vector<std::string>& neighbour_command) {
  for (const auto& [from, to] : {std::pair{one, other}, std::pair{other, one}}) {
    if (!addresses_.contains(from)) return fail(Errc::not_found, "no host " + from);
    std::vector<std::string> command{"ip", "-n", namespace_of(from), "neigh"};
    command.push_back(neighbour_command.front());
    command.push_back(addresses_.at(to));
    command.insert(command.end(), neighbour_command.begin() + 1, neighbour_command.end());
    command.insert(command.end(), {"dev", kInterface});
    if (auto done = run(std::move(command)); !done) return done;
  }
  return {};
}

Result<void> Network::set_port(const std::string& name, const char* state) {
  if (!addresses_.contains(name)) return fail(Errc::not_found, "no host " + name);
  return run({"bridge", "-n", namespace_of(kSwitch), "link", "set", "dev", name, "state", state});
}

Result<void> Network::shape(const std::string& name, const Shape& shape) {
  if (!addresses_.contains(name)) return fail(Errc::not_found, "no host " + name);
  // A bucket of 10 ms, and never less than a large packet (with its segments merged).
  const std::uint64_t burst = std::max<std::uint64_t>(shape.bits_per_second / 8 / 100, 70'000);
  const auto limited = [&](const std::string& where, const std::string& interface) {
    return std::vector<std::string>{"tc",
                                    "-n",
                                    where,
                                    "qdisc",
                                    "replace",
                                    "dev",
                                    interface,
                                    "root",
                                    "tbf",
                                    "rate",
                                    std::to_string(shape.bits_per_second) + "bit",
                                    "burst",
                                    std::to_string(burst),
                                    "latency",
                                    std::to_string(shape.queue.count()) + "ms"};
  };
  return run_all({limited(namespace_of(kSwitch), name), limited(namespace_of(name), kInterface)});
}

}  // namespace aloft::testing
