#include "host/process/child.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace aloft::host {
namespace {

// Above the numbers that descriptors have in a child, so that putting one there covers no other.
constexpr int kAside = 16;

}  // namespace

Result<Child> Child::start(const std::filesystem::path& program, std::vector<std::string> arguments,
                           std::span<const Descriptor> descriptors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  std::vector<int> aside;
  for (const auto& [mine, theirs] : descriptors) {
    aside.push_back(::fcntl(mine, F_DUPFD_CLOEXEC, kAside));
    ::posix_spawn_file_actions_adddup2(&actions, aside.back(), theirs);
  }
  sigset_t all;
  sigset_t none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  std::string name = program.string();
  std::vector<char*> argv{name.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environ);
  for (const int fd : aside) ::close(fd);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fail(error == ENOENT ? Errc::not_found : Errc::internal,
                "cannot start " + program.string() + ": " + std::strerror(error));
  }
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  Child child(pid, pidfd);
  if (pidfd < 0) return fail(Errc::internal, std::string("pidfd_open: ") + std::strerror(errno));
  return child;
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::exchange(other.pidfd_, -1)) {}

Child::~Child() {
  if (pid_ >= 0) {
    kill();
    (void)wait(std::chrono::milliseconds::max());
  }
  if (pidfd_ >= 0) ::close(pidfd_);
}

std::optional<int> Child::wait(std::chrono::milliseconds limit) {
  const bool for_ever = limit == std::chrono::milliseconds::max() || pidfd_ < 0;
  const auto until = std::chrono::steady_clock::now() + (for_ever ? decltype(limit){} : limit);
  while (!for_ever) {
    pollfd ended{pidfd_, POLLIN, 0};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    const int ready =
        ::poll(&ended, 1, static_cast<int>(std::max(left, std::chrono::milliseconds{0}).count()));
    if (ready > 0) break;
    if (ready == 0) return std::nullopt;
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void Child::kill() {
  if (pid_ >= 0) ::kill(pid_, SIGKILL);
}

}  // namespace aloft::host
