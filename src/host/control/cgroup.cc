#include "host/control/cgroup.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <system_error>
#include <thread>
#include <utility>

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

// A group may use all of its time at the beginning of a period, on all processors at once, and who
// calls a function of a few milliseconds then waits that long: so it is short. The least that a
// group can have in it is 1 ms.
constexpr std::uint32_t kPeriod = 20'000;  // us
// Shares of the time where there is not enough, as version 1 counts them: 1024 for a processor.
constexpr std::uint64_t kProcessor = 1024;
constexpr std::uint64_t kMostShares = 262'144;
constexpr const char* kOwnLeaf = "aloft-daemon";

bool put(const fs::path& file, const std::string& text) {
  std::ofstream out(file);
  out << text << std::flush;
  return out.good();
}

// This process's group of each controller, by its name; that of version 2 has none.
std::map<std::string, std::string> own_groups() {
  std::map<std::string, std::string> groups;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    // "cpu,cpuacct": mounted under that name and under each.
    for (std::size_t at = 0; at <= controllers.size();) {
      const auto end = std::min(controllers.find(',', at), controllers.size());
      groups.emplace(controllers.substr(at, end - at), line.substr(second + 1));
      at = end + 1;
    }
  }
  return groups;
}

std::uint64_t shares_of(std::uint64_t millicores) {
  return std::clamp<std::uint64_t>(millicores * kProcessor / 1000, 2, kMostShares);
}
// The same as version 2 counts it, from 1 to 10,000.
std::uint64_t weight_of(std::uint64_t shares) {
  return 1 + (shares - 2) * 9'999 / (kMostShares - 2);
}

}  // namespace

Cgroup Cgroup::make(const std::string& name, const fs::path& mounts) {
  Cgroup made;
  const auto groups = own_groups();
  std::error_code error;
  const auto add = [&](const std::string& controller, const fs::path& own) {
    const fs::path path = own / "aloft" / name;
    fs::create_directories(path, error);
    // What all of them have together against what is beside them, the daemon: a processor each.
    const std::uint64_t all = shares_of(1000 * std::max(1U, std::thread::hardware_concurrency()));
    if (controller == "cpu") (void)put(own / "aloft" / "cpu.shares", std::to_string(all));
    if (controller.empty()) (void)put(own / "aloft" / "cpu.weight", std::to_string(weight_of(all)));
    if (fs::is_directory(path, error)) made.folders_.push_back({controller, path});
  };
  if (fs::exists(mounts / "cgroup.controllers", error)) {
    const auto own = groups.find("");
    fs::path base = mounts;
    if (own != groups.end()) base += own->second;
    // An earlier call has moved this process.
    if (base.filename() == kOwnLeaf) base = base.parent_path();
    fs::create_directories(base / "aloft", error);
    const auto share = [](const fs::path& folder) {
      return put(folder / "cgroup.subtree_control", "+cpu +memory +pids");
    };
    // A group with processes of its own gives no controllers to those below, as with systemd's
    // Delegate=: so this process goes into one of its own, beside them.
    if (!share(base) && base != mounts) {
      fs::create_directories(base / kOwnLeaf, error);
      if (put(base / kOwnLeaf / "cgroup.procs", "0")) (void)share(base);
    }
    (void)share(base / "aloft");
    add("", base);
    return made;
  }
  for (const char* const controller : {"cpu", "memory", "pids"}) {
    const auto own = groups.find(controller);
    if (own == groups.end()) continue;
    fs::path base = mounts / controller;
    if (fs::is_directory(fs::path(base) += own->second, error)) base += own->second;
    if (fs::exists(base / "cgroup.procs", error)) add(controller, base);
  }
  return made;
}

Cgroup::Cgroup(Cgroup&& other) noexcept : folders_(std::exchange(other.folders_, {})) {}

Cgroup::~Cgroup() {
  std::error_code ignored;
  for (const Folder& folder : folders_) fs::remove(folder.path, ignored);
}

bool Cgroup::write(const std::string& controller, const char* file, const std::string& text) const {
  const auto found = std::ranges::find_if(folders_, [&](const Folder& folder) {
    return folder.controller.empty() || folder.controller == controller;
  });
  std::error_code error;
  return found != folders_.end() && fs::exists(found->path / file, error) &&
         put(found->path / file, text);
}

std::optional<std::string> Cgroup::read(const std::string& controller, const char* file) const {
  const auto found = std::ranges::find_if(folders_, [&](const Folder& folder) {
    return folder.controller.empty() || folder.controller == controller;
  });
  if (found == folders_.end()) return std::nullopt;
  std::ifstream in(found->path / file);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

std::vector<std::string> Cgroup::limit(const CgroupLimits& limits) {
  std::vector<std::string> not_limited;
  const bool v2 = !folders_.empty() && folders_.front().controller.empty();
  const auto number = [&](std::uint64_t value) {
    return value != 0 ? std::to_string(value) : std::string(v2 ? "max" : "-1");
  };
  const auto note = [&](bool done, bool wanted, const char* what) {
    if (!done && wanted) not_limited.emplace_back(what);
  };
  note(write("memory", v2 ? "memory.max" : "memory.limit_in_bytes", number(limits.memory_bytes)),
       limits.memory_bytes != 0, "memory");
  if (v2) (void)write("memory", "memory.swap.max", "0");
  const std::uint64_t quota = std::uint64_t{limits.cpu_millicores} * kPeriod / 1000;
  bool cpu = false;
  const char* const burst = v2 ? "cpu.max.burst" : "cpu.cfs_burst_us";
  (void)write("cpu", burst, "0");  // it may never be more than the quota
  if (v2) {
    cpu = write("cpu", "cpu.max", number(quota) + " " + std::to_string(kPeriod));
  } else {
    (void)write("cpu", "cpu.cfs_period_us", std::to_string(kPeriod));
    cpu = write("cpu", "cpu.cfs_quota_us", number(quota));
  }
  // Kernels before 5.14 have none.
  if (cpu && quota != 0) (void)write("cpu", burst, std::to_string(quota));
  note(cpu, quota != 0, "processor time");
  const std::uint64_t shares = quota != 0 ? shares_of(limits.cpu_millicores) : kProcessor;
  (void)write("cpu", v2 ? "cpu.weight" : "cpu.shares",
              std::to_string(v2 ? weight_of(shares) : shares));
  note(write("pids", "pids.max", limits.processes != 0 ? std::to_string(limits.processes) : "max"),
       limits.processes != 0, "number of threads");
  return not_limited;
}

Result<void> Cgroup::add(pid_t process) {
  for (const Folder& folder : folders_) {
    if (!put(folder.path / "cgroup.procs", std::to_string(process))) {
      return fail(Errc::internal, "cannot put the process " + std::to_string(process) +
                                      " into the control group " + folder.path.string());
    }
  }
  return {};
}

}  // namespace aloft::host
