#include "daemon.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> raw;
  for (std::string& text : texts) raw.push_back(text.data());
  raw.push_back(nullptr);
  return raw;
}

// This program's environment with `added` in place of what has the same name.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view text(*each);
    if (!added.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

Ended read_status(int status) {
  if (WIFSIGNALED(status)) return {.signal = WTERMSIG(status)};
  return {.status = WEXITSTATUS(status)};
}

}  // namespace

sigset_t block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) ::sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

std::string last_word(const std::string& line) { return line.substr(line.rfind(' ') + 1); }

std::string Ended::to_string() const {
  return signal != 0 ? "signal " + std::to_string(signal) : "status " + std::to_string(status);
}

Result<Daemon> Daemon::start(Start start) {
  std::string program = start.program;
  if (program.find('/') == std::string::npos) {
    std::error_code error;
    program = (fs::read_symlink("/proc/self/exe", error).parent_path() / program).string();
  }
  std::array<int, 2> pipe{-1, -1};
  if (start.output == Output::read && ::pipe2(pipe.data(), O_CLOEXEC) != 0)
    return fail(Errc::resource_exhausted, "no file descriptor is left");
  start.arguments.insert(start.arguments.begin(), program);
  const std::vector<char*> arguments = pointers(start.arguments);
  std::vector<std::string> texts = environment_with(start.environment);
  const std::vector<char*> environment = pointers(texts);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    // Ctrl-C is for this program, which ends the others in their order.
    ::setpgid(0, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (start.output == Output::read) ::dup2(pipe[1], STDOUT_FILENO);
    if (start.output == Output::to_stderr) ::dup2(STDERR_FILENO, STDOUT_FILENO);
    if (::getppid() == parent) ::execve(program.c_str(), arguments.data(), environment.data());
    ::_exit(127);
  }
  if (pipe[1] >= 0) ::close(pipe[1]);
  if (child < 0) {
    if (pipe[0] >= 0) ::close(pipe[0]);
    return fail(Errc::resource_exhausted, "no process can be started");
  }
  return Daemon(start.program, child, pipe[0]);
}

Daemon::Daemon(std::string name, pid_t process, int output)
    : name_(std::move(name)), process_(process), output_(output) {}

Daemon::Daemon(Daemon&& other) noexcept
    : name_(std::move(other.name_)),
      process_(std::exchange(other.process_, -1)),
      output_(std::exchange(other.output_, -1)),
      ended_(other.ended_),
      read_(std::move(other.read_)) {}

Daemon::~Daemon() {
  end(kEndLimit);
  if (output_ >= 0) ::close(output_);
}

Result<std::string> Daemon::wait_for(std::string_view text, std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  for (;;) {
    for (auto end = read_.find('\n'); end != std::string::npos; end = read_.find('\n')) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      if (line.find(text) != std::string::npos) return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd waiting{output_, POLLIN, 0};
    if (left <= 0ms || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0)
      return fail(Errc::internal, name_ + " did not start in time; what it said is above");
    std::array<char, 4096> some{};
    const ssize_t size = ::read(output_, some.data(), some.size());
    if (size <= 0) return fail(Errc::internal, name_ + " did not start; what it said is above");
    read_.append(some.data(), static_cast<std::size_t>(size));
  }
}

std::optional<Ended> Daemon::ended() {
  int status = 0;
  if (process_ >= 0 && ::waitpid(process_, &status, WNOHANG) == process_) {
    process_ = -1;
    ended_ = read_status(status);
  }
  return ended_;
}

Ended Daemon::wait() {
  int status = 0;
  if (process_ >= 0 && ::waitpid(process_, &status, 0) == process_) {
    process_ = -1;
    ended_ = read_status(status);
  }
  return ended_.value_or(Ended{});
}

void Daemon::terminate() const {
  if (process_ >= 0) ::kill(-process_, SIGTERM);
}

void Daemon::end(std::chrono::milliseconds limit) {
  if (process_ < 0) return;
  ::kill(process_, SIGTERM);
  const auto until = Clock::now() + limit;
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  while (::waitpid(process_, nullptr, WNOHANG) == 0) {
    const auto left = until - Clock::now();
    if (left <= 0ms) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
      break;
    }
    // SIGCHLD is blocked, so one that came before this is not missed.
    const auto wait = std::min<Clock::duration>(left, 200ms);
    const timespec time{0, std::chrono::duration_cast<std::chrono::nanoseconds>(wait).count()};
    ::sigtimedwait(&child, nullptr, &time);
  }
  process_ = -1;
}

}  // namespace aloft::cli
