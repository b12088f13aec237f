#include "cluster_in_namespaces.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "support/programs.h"
#include "support/tenant_processes.h"
#include "support/text_file.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPatience = 60s;
constexpr auto kEndLimit = 10s;
constexpr const char* kManagerPort = "7400";
constexpr const char* kOpsPort = "7401";
constexpr const char* kHostPort = "7410";
constexpr const char* kSelf = "tester";  // where this process is
// Of the compiler and the tenants of the first host; those of the next come after them.
constexpr std::uint64_t kFirstUser = 1'879'048'192;
constexpr std::uint64_t kUsers = 4096;  // of a host

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ",") + word;
  return all;
}

// In place: it is mapped by those whose clock it is.
void write_offset(const fs::path& file, std::chrono::nanoseconds offset) {
  const std::int64_t count = offset.count();
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  (void)!::pwrite(descriptor, &count, sizeof count, 0);
  ::close(descriptor);
}

}  // namespace

std::optional<std::string> ClusterInNamespaces::what_is_missing() {
  if (auto missing = Network::what_is_missing()) return missing;
  if (!fs::exists(servers() / "etcd")) return "there is no etcd: ./dev setup fetches it";
  return std::nullopt;
}

Result<std::unique_ptr<ClusterInNamespaces>> ClusterInNamespaces::start(const fs::path& folder,
                                                                        ClusterLayout layout) {
  if (layout.managers == 0 || layout.hosts == 0 || (layout.etcd == 0 && layout.managers > 1)) {
    return fail(Errc::invalid_argument,
                "a cluster has a manager and a host at least, and several managers need etcd");
  }
  if (layout.managers > 9 || layout.hosts > 99 || layout.etcd > 9)
    return fail(Errc::invalid_argument, "at most 9 managers, 99 hosts and 9 members of etcd");
  auto network = Network::make();
  if (!network) return std::unexpected(network.error());
  std::unique_ptr<ClusterInNamespaces> cluster(
      new ClusterInNamespaces(folder, std::move(layout), std::move(*network)));
  for (auto step : {&ClusterInNamespaces::add_hosts, &ClusterInNamespaces::start_all}) {
    if (auto done = (cluster.get()->*step)(); !done) return std::unexpected(done.error());
  }
  return cluster;
}

ClusterInNamespaces::ClusterInNamespaces(fs::path folder, ClusterLayout layout, Network network)
    : folder_(fs::absolute(folder)), layout_(std::move(layout)), network_(std::move(network)) {}

ClusterInNamespaces::~ClusterInNamespaces() {
  // All hosts are told at once; a manager that is still there hears of it.
  for (const std::string& name : names('h')) {
    if (parts_[name].process) parts_[name].process->signal(SIGTERM);
  }
  for (const std::string& name : names('h')) static_cast<void>(end(name));
  parts_.clear();
  etcd_.reset();
}

std::vector<std::string> ClusterInNamespaces::names(char kind) const {
  std::vector<std::string> all;
  const auto add = [&](char letter, std::size_t count) {
    if (kind != 0 && kind != letter) return;
    for (std::size_t i = 1; i <= count; ++i) all.push_back(letter + std::to_string(i));
  };
  add('m', layout_.managers);
  add('h', layout_.hosts);
  add('e', layout_.etcd);
  return all;
}

Result<void> ClusterInNamespaces::add_hosts() {
  std::vector<std::string> all = names();
  all.insert(all.end(), {"device", kSelf});
  for (const std::string& name : all) {
    if (auto added = network_.add_host(name); !added) return added;
  }
  // Before there is another thread that makes sockets.
  return network_.enter(kSelf);
}

Result<void> ClusterInNamespaces::make_keys() const {
  std::vector<std::string> addresses;
  for (const std::string& name : names('m')) addresses.push_back(network_.address(name));
  std::vector<std::vector<std::string>> commands{
      {"cluster", "init", "--hosts", joined(addresses), keys()},
      {"module", "keygen", keys() / "publisher"}};
  for (const std::string& name : names('h')) {
    commands.push_back({"cluster", "issue", "--role", "host", "--name", name, "--hosts",
                        network_.address(name), keys()});
  }
  for (auto& command : commands) {
    if (auto made = aloft(std::move(command)); !made) return std::unexpected(made.error());
  }
  // The one tenant believes this publisher.
  std::string tenants = read_text(keys() / "tenants.toml");
  const std::string none = "module_signers = []";
  const auto at = tenants.find(none);
  if (at == std::string::npos)
    return fail(Errc::internal, "aloft cluster init writes no `" + none + "` into tenants.toml");
  tenants.replace(at, none.size(), "module_signers = [\"publisher.pub\"]");
  std::ofstream(keys() / "tenants.toml") << tenants << std::flush;
  return {};
}

Result<void> ClusterInNamespaces::push_modules() const {
  std::error_code ignored;
  fs::create_directories(folder_ / "repository", ignored);
  if (layout_.modules.empty()) return {};
  std::vector<std::string> push{
      "module", "push", "--repository", folder_ / "repository", "--sign", keys() / "publisher.key"};
  for (const fs::path& module : layout_.modules) push.push_back(module);
  if (auto pushed = aloft(std::move(push)); !pushed) return std::unexpected(pushed.error());
  return {};
}

Result<void> ClusterInNamespaces::start_all() {
  if (layout_.etcd > 0) {
    std::vector<EtcdPlace> places;
    for (const std::string& name : names('e')) {
      places.push_back({network_.address(name), [this, name](std::vector<std::string> command) {
                          return network_.command(name, std::move(command));
                        }});
    }
    auto etcd = EtcdCluster::start(folder_ / "etcd", {.places = std::move(places)});
    if (!etcd) return std::unexpected(etcd.error());
    etcd_.emplace(std::move(*etcd));
  }
  if (auto made = make_keys(); !made) return made;
  if (auto pushed = push_modules(); !pushed) return pushed;
  for (const std::string& name : names('m')) add_manager(name);
  std::uint64_t user = kFirstUser;
  for (const std::string& name : names('h')) add_host(name, std::exchange(user, user + kUsers));
  for (const char kind : {'m', 'h'}) {
    for (const std::string& name : names(kind)) {
      if (auto started = start(name); !started) return started;
    }
  }
  return {};
}

void ClusterInNamespaces::add_manager(const std::string& name) {
  const std::string& address = network_.address(name);
  std::vector<std::string> command{program("aloft-manager"),
                                   "--name",
                                   name,
                                   "--listen",
                                   address + ":" + kManagerPort,
                                   "--ops-listen",
                                   address + ":" + kOpsPort,
                                   "--credentials",
                                   keys()};
  if (etcd_) {
    command.insert(command.end(),
                   {"--store-kind", "etcd", "--store-endpoints", joined(etcd_->endpoints())});
  } else {
    command.insert(command.end(), {"--store-data", state(name) / "state.sqlite"});
  }
  command.insert(command.end(), layout_.manager_arguments.begin(), layout_.manager_arguments.end());
  parts_[name] = {.command = placed(name, std::move(command)),
                  .ready = "listening on port",
                  .process = {},
                  .said = {}};
}

void ClusterInNamespaces::add_host(const std::string& name, std::uint64_t first_user) {
  std::vector<std::string> command{program("aloft-host"),
                                   "--id",
                                   name,
                                   "--listen",
                                   network_.address(name) + ":" + kHostPort,
                                   "--managers",
                                   joined(managers()),
                                   "--credentials",
                                   keys(),
                                   "--repository",
                                   folder_ / "repository",
                                   "--state",
                                   state(name),
                                   "--isolation",
                                   "best-effort",
                                   "--isolation-first-user",
                                   std::to_string(first_user),
                                   "--drain-limit",
                                   "0s"};
  command.insert(command.end(), layout_.host_arguments.begin(), layout_.host_arguments.end());
  parts_[name] = {.command = placed(name, std::move(command)),
                  .ready = "registered",
                  .process = {},
                  .said = {}};
}

std::vector<std::string> ClusterInNamespaces::placed(const std::string& name,
                                                     std::vector<std::string> command) const {
  std::error_code ignored;
  fs::create_directories(state(name), ignored);
  std::vector<std::string> whole;
  if (const auto disk = layout_.small_disks.find(name); disk != layout_.small_disks.end()) {
    // On a mount that only this process and its children see. One that is started again finds it
    // empty.
    whole = {"sh", "-c",
             "mount -t tmpfs -o mode=0700,size=" + std::to_string(disk->second) +
                 " aloft \"$0\" && exec \"$@\"",
             state(name)};
  }
  if (layout_.stepped_clocks.contains(name)) {
    write_offset(clock_file(name), 0s);
    whole.insert(whole.end(),
                 {"env", "LD_PRELOAD=" + (binary_dir() / "tests/libstepped_clock.so").string(),
                  "ALOFT_CLOCK_OFFSET_FILE=" + clock_file(name).string()});
  }
  whole.insert(whole.end(), std::make_move_iterator(command.begin()),
               std::make_move_iterator(command.end()));
  return network_.command(name, std::move(whole));
}

// --- To use it

std::vector<std::string> ClusterInNamespaces::on(const std::string& name,
                                                 std::vector<std::string> command) const {
  return network_.command(name, std::move(command));
}

std::vector<std::string> ClusterInNamespaces::managers() const {
  std::vector<std::string> all;
  for (const std::string& name : names('m'))
    all.push_back(network_.address(name) + ":" + kManagerPort);
  return all;
}

std::map<std::string, std::string> ClusterInNamespaces::environment() const {
  const char* const path = std::getenv("PATH");
  return {{"ALOFT_MANAGER", joined(managers())},
          {"ALOFT_CREDENTIALS", keys()},
          {"ALOFT_REPOSITORY", folder_ / "repository"},
          {"PATH", (binary_dir() / "bin").string() + (path == nullptr ? "" : ":") +
                       (path == nullptr ? "" : path)}};
}

Result<std::string> ClusterInNamespaces::aloft(std::vector<std::string> arguments) const {
  Ran ran = run_aloft(std::move(arguments), {.environment = environment()});
  if (ran.status != 0) return fail(Errc::internal, ran.output + ran.error);
  return std::move(ran.output);
}

// --- To break it

std::optional<std::size_t> ClusterInNamespaces::member(const std::string& name) const {
  const auto members = names('e');
  const auto found = std::ranges::find(members, name);
  if (found == members.end()) return std::nullopt;
  return static_cast<std::size_t>(found - members.begin());
}

Result<ClusterInNamespaces::Part*> ClusterInNamespaces::part(const std::string& name) {
  const auto found = parts_.find(name);
  if (found == parts_.end()) return fail(Errc::not_found, "no part of the cluster: " + name);
  return &found->second;
}

void ClusterInNamespaces::retire(Part& part) {
  part.said += part.process->transcript() + "\n";
  part.process.reset();
}

Result<void> ClusterInNamespaces::kill(const std::string& name) {
  if (const auto at = member(name)) {
    if (dead_members_.insert(name).second) etcd_->kill(*at);
    return {};
  }
  auto found = part(name);
  if (!found) return std::unexpected(found.error());
  if (!(*found)->process) return {};
  (*found)->process->kill();
  if (!(*found)->process->wait(kEndLimit)) return fail(Errc::internal, name + " does not die");
  retire(**found);
  return {};
}

Result<void> ClusterInNamespaces::end(const std::string& name) {
  auto found = part(name);
  if (!found) return std::unexpected(found.error());
  if (!(*found)->process) return {};
  (*found)->process->signal(SIGTERM);
  if (!(*found)->process->wait(kEndLimit)) return kill(name);
  retire(**found);
  return {};
}

Result<void> ClusterInNamespaces::start(const std::string& name, std::vector<std::string> more) {
  if (const auto at = member(name)) {
    if (dead_members_.erase(name) == 0) return {};
    return etcd_->restart(*at);
  }
  auto found = part(name);
  if (!found) return std::unexpected(found.error());
  Part& mine = **found;
  if (mine.process && !mine.process->wait(0ms)) return {};
  if (mine.process) retire(mine);
  mine.command.insert(mine.command.end(), more.begin(), more.end());
  auto process = Process::start(mine.command);
  if (!process) return std::unexpected(process.error());
  mine.process.emplace(std::move(*process));
  if (mine.process->wait_for_line(mine.ready, kPatience)) return {};
  return fail(Errc::internal, name + " did not start:\n" + mine.process->transcript());
}

std::optional<pid_t> ClusterInNamespaces::pid(const std::string& name) const {
  if (const auto at = member(name))
    return dead_members_.contains(name) ? std::nullopt : std::optional(etcd_->pid(*at));
  const auto found = parts_.find(name);
  if (found == parts_.end() || !found->second.process) return std::nullopt;
  return found->second.process->pid();
}

std::optional<pid_t> ClusterInNamespaces::tenant_process(const std::string& host) const {
  const auto daemon = pid(host);
  if (!daemon) return std::nullopt;
  const auto processes = tenant_processes(*daemon);
  return processes.empty() ? std::nullopt : std::optional(processes.rbegin()->first);
}

Result<fs::path> ClusterInNamespaces::state_inside(const std::string& name) {
  const auto process = pid(name);
  if (!process || !layout_.small_disks.contains(name))
    return fail(Errc::not_found, name + " does not run, or has no small disk");
  return fs::path("/proc/" + std::to_string(*process) + "/root" + state(name).string());
}

Result<void> ClusterInNamespaces::fill_disk(const std::string& name) {
  const auto inside = state_inside(name);
  if (!inside) return std::unexpected(inside.error());
  std::ofstream file(*inside / "filler", std::ios::binary | std::ios::app);
  // The last bytes one by one: blocks may be left that a larger piece does not fit into.
  for (const std::size_t size : {std::size_t{1} << 16U, std::size_t{1}}) {
    file.clear();
    const std::string piece(size, 'x');
    while (file.write(piece.data(), static_cast<std::streamsize>(size)).flush()) {
    }
  }
  return {};
}

Result<void> ClusterInNamespaces::free_disk(const std::string& name) {
  const auto inside = state_inside(name);
  if (!inside) return std::unexpected(inside.error());
  std::error_code error;
  fs::remove(*inside / "filler", error);
  if (error) return fail(Errc::internal, "cannot make room: " + error.message());
  return {};
}

Result<void> ClusterInNamespaces::step_clock(const std::string& name, std::chrono::seconds ahead) {
  if (!layout_.stepped_clocks.contains(name))
    return fail(Errc::not_found, name + " has the clock of the machine");
  write_offset(clock_file(name), ahead);
  return {};
}

std::string ClusterInNamespaces::transcript() const {
  std::string all = etcd_ ? etcd_->transcript() : "";
  for (const auto& [name, part] : parts_) {
    all += "==== " + name + "\n" + part.said;
    if (part.process) all += part.process->transcript() + "\n";
  }
  return all;
}

}  // namespace aloft::testing
