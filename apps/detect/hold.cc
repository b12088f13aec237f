#include "hold.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;
namespace fs = std::filesystem;

constexpr int kPeriodUs = 10'000;
constexpr std::string_view kPrefix = "aloft-hold-";

// Writes a control file in one write(2), as the kernel wants it; the errno of a refusal, 0 when it
// took it.
int write_control(const fs::path& file, const std::string& value) {
  errno = 0;
  std::ofstream out(file);
  out << value << std::flush;
  if (out.good()) return 0;
  return errno != 0 ? errno : EIO;
}

// This process's path in the hierarchy whose controller list has `controller` (v1), or in the
// unified one ("", v2). /proc/self/cgroup has lines "ID:controllers:/path".
std::optional<std::string> own_path(const fs::path& proc_root, const std::string& controller) {
  std::ifstream file(proc_root / "self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    if (controller.empty() && names.str().empty()) return line.substr(second + 1);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == controller) return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

// Groups of processes that were killed before they could remove theirs. rmdir refuses one that is
// still in use.
void remove_leftovers(const fs::path& parent) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(parent, ignored)) {
    if (entry.path().filename().string().starts_with(kPrefix)) ::rmdir(entry.path().c_str());
  }
}

aloft::Result<void> refuse(const fs::path& where, int error) {
  return fail(Errc::refused, "cannot hold this process to a share of a core: " + where.string() +
                                 ": " + std::strerror(error) +
                                 (error == EACCES || error == EPERM || error == EROFS
                                      ? "; run as root, or give --device-cpu 100"
                                      : "; give --device-cpu 100"));
}

aloft::Result<void> make_group(const fs::path& group) {
  remove_leftovers(group.parent_path());
  if (::mkdir(group.c_str(), 0755) != 0) return refuse(group, errno);
  return {};
}

std::string describe(const char* version, int percent) {
  std::ostringstream text;
  text.precision(1);
  text << std::fixed << "cgroup " << version << ", " << kPeriodUs / 1000.0 * percent / 100
       << " of every " << kPeriodUs / 1000 << " ms";
  return text.str();
}

}  // namespace

aloft::Result<CpuHold> CpuHold::apply(int percent, const fs::path& cgroup_root,
                                      const fs::path& proc_root) {
  const std::string quota = std::to_string(kPeriodUs * percent / 100);
  const std::string period = std::to_string(kPeriodUs);
  const std::string name = std::string(kPrefix) + std::to_string(::getpid());
  std::error_code ignored;

  // v2: one hierarchy; the cpu controller must be handed down to the root's children.
  if (fs::exists(cgroup_root / "cgroup.controllers", ignored)) {
    const auto path = own_path(proc_root, "");
    const fs::path group = cgroup_root / name;
    if (const int error = write_control(cgroup_root / "cgroup.subtree_control", "+cpu");
        error != 0) {
      return std::unexpected(refuse(cgroup_root / "cgroup.subtree_control", error).error());
    }
    if (auto made = make_group(group); !made) return std::unexpected(made.error());
    CpuHold hold(group, cgroup_root / fs::path(path.value_or("/")).relative_path(),
                 describe("v2", percent));
    if (const int error = write_control(group / "cpu.max", quota + " " + period); error != 0) {
      return std::unexpected(refuse(group / "cpu.max", error).error());
    }
    if (const int error = write_control(group / "cgroup.procs", std::to_string(::getpid()));
        error != 0) {
      return std::unexpected(refuse(group / "cgroup.procs", error).error());
    }
    return hold;
  }

  // v1: a hierarchy for the cpu controller, mounted as "cpu" or "cpu,cpuacct".
  for (const char* mount : {"cpu", "cpu,cpuacct"}) {
    const fs::path root = cgroup_root / mount;
    if (!fs::exists(root / "cpu.cfs_quota_us", ignored)) continue;
    const auto path = own_path(proc_root, "cpu");
    const fs::path group = root / name;
    if (auto made = make_group(group); !made) return std::unexpected(made.error());
    CpuHold hold(group, root / fs::path(path.value_or("/")).relative_path(),
                 describe("v1", percent));
    for (const auto& [file, value] : {std::pair{"cpu.cfs_period_us", period},
                                      {"cpu.cfs_quota_us", quota},
                                      {"cgroup.procs", std::to_string(::getpid())}}) {
      if (const int error = write_control(group / file, value); error != 0) {
        return std::unexpected(refuse(group / file, error).error());
      }
    }
    return hold;
  }
  return fail(
      Errc::refused,
      "cannot hold this process to a share of a core: no cgroup with a cpu controller under " +
          cgroup_root.string() + "; give --device-cpu 100");
}

CpuHold::CpuHold(fs::path group, fs::path home, std::string description)
    : group_(std::move(group)), home_(std::move(home)), description_(std::move(description)) {}

CpuHold::CpuHold(CpuHold&& other) noexcept
    : group_(std::exchange(other.group_, {})),
      home_(std::move(other.home_)),
      description_(std::move(other.description_)) {}

CpuHold& CpuHold::operator=(CpuHold&& other) noexcept {
  if (this != &other) {
    release();
    group_ = std::exchange(other.group_, {});
    home_ = std::move(other.home_);
    description_ = std::move(other.description_);
  }
  return *this;
}

CpuHold::~CpuHold() { release(); }

void CpuHold::release() noexcept {
  if (group_.empty()) return;
  write_control(home_ / "cgroup.procs", std::to_string(::getpid()));
  ::rmdir(group_.c_str());
  group_.clear();
}

}  // namespace detect
