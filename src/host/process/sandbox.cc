#include "host/process/sandbox.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> cannot(std::string_view what, Errc code = Errc::internal) {
  return fail(code, "sandbox: cannot " + std::string(what) + ": " + std::strerror(errno));
}

void close_all_but(std::vector<int> keep) {
  for (const int standard : {0, 1, 2}) keep.push_back(standard);
  std::ranges::sort(keep);
  unsigned first = 0;
  for (const int fd : keep) {
    const auto next = static_cast<unsigned>(fd);
    if (next > first) ::close_range(first, next - 1, 0);
    first = std::max(first, next + 1);
  }
  ::close_range(first, ~0U, 0);
}

bool write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// The right to all that follows, for who is not root.
Result<void> own_user_namespace() {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) {
    return cannot(
        "make a user namespace (allow it: sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0, or run as root)",
        Errc::refused);
  }
  const auto self = [](auto id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; };
  if (!write_file("/proc/self/setgroups", "deny") ||
      !write_file("/proc/self/uid_map", self(user)) ||
      !write_file("/proc/self/gid_map", self(group)))
    return cannot("map its user into a namespace");
  return {};
}

// What the mount has already and may not lose, where it came out of another user namespace.
unsigned long flags_of(const fs::path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return 0;
  unsigned long flags = 0;
  if ((status.f_flag & ST_NOATIME) != 0) flags |= MS_NOATIME;
  if ((status.f_flag & ST_NODIRATIME) != 0) flags |= MS_NODIRATIME;
  if ((status.f_flag & ST_RELATIME) != 0) flags |= MS_RELATIME;
  return flags;
}

Result<void> own_root(const SandboxOptions& options) {
  constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return cannot("keep its mounts to itself");
  const std::string root = options.root.string();
  if (::mount("aloft", root.c_str(), "tmpfs", kPlain, "size=64k,mode=0755") != 0)
    return cannot("mount on " + root);
  std::error_code error;
  for (const auto& [from, at, use] : options.shown) {
    const std::string place = root + "/" + at;
    const unsigned long plain =
        use == SandboxOptions::Use::load ? kPlain & ~static_cast<unsigned long>(MS_NOEXEC) : kPlain;
    fs::create_directories(place, error);
    if (::mount(from.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, place.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY | plain | flags_of(place), nullptr) != 0)
      return cannot("show the folder " + from.string());
  }
  for (const fs::path& shown : options.files) {
    const std::string place = root + shown.string();
    fs::create_directories(fs::path(place).parent_path(), error);
    const int file = ::open(place.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0444);
    if (file >= 0) ::close(file);
    if (::mount(shown.c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return cannot("show " + shown.string());
  }
  if (!options.scratch.empty()) {
    const std::string place = root + "/" + options.scratch;
    std::string data = "mode=0700,size=" + std::to_string(options.scratch_bytes);
    if (options.user)
      data += ",uid=" + std::to_string(*options.user) + ",gid=" + std::to_string(*options.user);
    if (::mkdir(place.c_str(), 0755) != 0 ||
        ::mount("scratch", place.c_str(), "tmpfs", kPlain, data.c_str()) != 0)
      return cannot("make its scratch space");
  }
  // The old root lies under the new one for a moment, then nowhere.
  if (::chdir(root.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0)
    return cannot("change to its own root");
  if (::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kPlain, nullptr) != 0)
    return cannot("make its root read-only");
  return {};
}

void limit(__rlimit_resource what, std::uint64_t value) {
  const rlimit to{value, value};
  ::setrlimit(what, &to);
}

Result<void> give_up_privileges(const SandboxOptions& options) {
  for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability);
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (options.user) {
    const uid_t user = *options.user;
    if (::setgroups(0, nullptr) != 0 || ::setresgid(user, user, user) != 0 ||
        ::setresuid(user, user, user) != 0)
      return cannot("become the user " + std::to_string(user));
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0) return cannot("give up its capabilities");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("set no_new_privs");
  // Nobody of the same user can look into it, either.
  ::prctl(PR_SET_DUMPABLE, 0);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, options.open_files);
  limit(RLIMIT_NPROC, options.threads);
  if (options.cpu_seconds != 0) limit(RLIMIT_CPU, options.cpu_seconds);
  return {};
}

// The first process stays to be waited for by its parent.
[[noreturn]] void wait_for(pid_t child, const SandboxOptions& options) {
  close_all_but({});
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);
  (void)give_up_privileges(options);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

// What counts for RLIMIT_DATA. In the sandbox no file says it; but what a limit lets through does.
std::uint64_t writable_memory() {
  constexpr std::uint64_t kExact = std::uint64_t{1} << 20U;
  std::uint64_t low = 0;
  std::uint64_t high = std::uint64_t{1} << 46U;
  while (high - low > kExact) {
    const std::uint64_t middle = low + (high - low) / 2;
    const rlimit to{middle, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_DATA, &to) != 0) return 0;
    void* const page =
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
      low = middle;
    } else {
      ::munmap(page, 4096);
      high = middle;
    }
  }
  return high;
}

}  // namespace

void show_accelerator(SandboxOptions& options, const fs::path& libraries) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/dev", error)) {
    if (entry.path().filename().string().starts_with("nvidia") && entry.is_character_file(error))
      options.files.push_back(entry.path());
  }
  const auto show = [&](const fs::path& folder) {
    if (folder.empty() || !fs::is_directory(folder, error)) return;
    options.shown.push_back({folder, folder.relative_path().string(), SandboxOptions::Use::load});
  };
  // The links of a merged /usr lead into what is shown.
  for (const char* const folder :
       {"/usr", "/lib", "/lib64", "/etc/ld.so.conf.d", "/proc/driver", "/sys/devices/system/cpu"})
    show(folder);
  const fs::path processors = "/proc/cpuinfo";
  if (fs::exists(processors, error)) options.files.push_back(processors);
  show(libraries);
}

void limit_memory(std::uint64_t more_bytes) { limit(RLIMIT_DATA, writable_memory() + more_bytes); }

Result<Confined> enter_sandbox(const SandboxOptions& options) {
  Confined confined;
  const bool root = ::geteuid() == 0;
  SandboxOptions allowed = options;
  if (!root) allowed.user.reset();
  // What goes wrong is an error, or told.
  const auto may_miss = [&](Result<void> outcome) -> Result<void> {
    if (outcome || options.need == Need::everything) return outcome;
    confined.missing.push_back(outcome.error().message);
    return {};
  };
  close_all_but(options.keep);
  bool own = true;
  if (!root) {
    const auto outcome = own_user_namespace();
    own = outcome.has_value();
    if (auto may = may_miss(outcome); !may) return std::unexpected(std::move(may).error());
  }
  if (own) {
    constexpr int kNamespaces =
        CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
    Result<void> outcome;
    if (::unshare(kNamespaces) != 0) outcome = cannot("make namespaces of its own", Errc::refused);
    own = outcome.has_value();
    if (auto may = may_miss(std::move(outcome)); !may)
      return std::unexpected(std::move(may).error());
  }
  if (own) {
    // From here on something is wrong that nobody foresaw: half of a root is worse than none.
    (void)::sethostname("aloft", 5);
    if (auto rooted = own_root(allowed); !rooted) return std::unexpected(rooted.error());
    confined.root = "/";
  }
  const pid_t child = ::fork();
  if (child < 0) return cannot("start its process");
  if (child > 0) wait_for(child, allowed);
  if (auto given = give_up_privileges(allowed); !given) return std::unexpected(given.error());
  // Last: becoming another user takes it back.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return confined;
}

}  // namespace aloft::host
