#include "process.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <utility>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aloft::testing {
namespace {

using Clock = std::chrono::steady_clock;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    return fail(Errc::internal, std::string("pipe: ") + ::strerror(errno));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

int shell_status(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The environment of the test with `more` in it, as execvpe wants it.
std::vector<std::string> merged_environment(const std::map<std::string, std::string>& more) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!more.contains(std::string(text.substr(0, text.find('='))))) merged.emplace_back(text);
  }
  for (const auto& [name, value] : more) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

struct Process::Impl {
  std::vector<std::string> command;
  pid_t pid = -1;
  Fd out_fd, err_fd;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string out, err;        // everything so far
  std::size_t read_up_to = 0;  // in `out`: what read_line gave already
  bool outputs_ended = false;
  std::optional<int> status;  // once reaped
  std::thread reader;

  // Runs until both outputs have ended, then reaps, so that a status is never there before the last
  // line.
  void read_outputs() {
    std::array<pollfd, 2> fds{pollfd{out_fd.get(), POLLIN, 0}, pollfd{err_fd.get(), POLLIN, 0}};
    std::array<char, 4096> chunk{};
    // Something that the program left behind may keep its outputs open: its own end is looked for
    // as well.
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
      const int ready = ::poll(fds.data(), fds.size(), 20);
      if (ready == 0 && has_ended()) break;
      for (std::size_t i = 0; i < fds.size(); ++i) {
        if (fds[i].fd < 0 || fds[i].revents == 0) continue;
        const ssize_t got = ::read(fds[i].fd, chunk.data(), chunk.size());
        if (got <= 0) {
          fds[i].fd = -1;
          continue;
        }
        const std::lock_guard lock(mutex);
        (i == 0 ? out : err).append(chunk.data(), static_cast<std::size_t>(got));
        changed.notify_all();
      }
    }
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    // Reaped under the lock: whoever holds it and sees no status can send a signal to this number.
    const std::lock_guard lock(mutex);
    int raw = 0;
    ::waitpid(pid, &raw, 0);
    status = shell_status(raw);
    outputs_ended = true;
    changed.notify_all();
  }

  // Leaves the status for waitpid.
  [[nodiscard]] bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid;
  }

  ~Impl() {
    if (pid < 0) return;
    ::kill(-pid, SIGKILL);  // whoever is left in the group, even when the program itself has ended
    if (reader.joinable()) reader.join();
  }
};

Result<Process> Process::start(std::vector<std::string> command, ProcessOptions options) {
  auto out = make_pipe();
  if (!out) return std::unexpected(out.error());
  auto err = make_pipe();
  if (!err) return std::unexpected(err.error());
  auto failure =
      make_pipe();  // carries errno when the program cannot be started, closes on exec otherwise
  if (!failure) return std::unexpected(failure.error());

  std::vector<std::string> environment = merged_environment(options.environment);
  const std::vector<char*> envp = pointers(environment);
  std::vector<std::string> words = command;
  const std::vector<char*> argv = pointers(words);
  const std::string directory = options.working_directory.string();

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(Errc::internal, std::string("fork: ") + ::strerror(errno));
  if (pid == 0) {
    // Between fork and exec only what is safe in a process of many threads.
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    // What a test program waits for itself is no business of this one's.
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    const int null = ::open("/dev/null", O_RDONLY);
    int error = 0;
    if (::dup2(null, 0) < 0 || ::dup2(out->write.get(), 1) < 0 || ::dup2(err->write.get(), 2) < 0 ||
        (!directory.empty() && ::chdir(directory.c_str()) != 0)) {
      error = errno;
    } else {
      ::execvpe(argv[0], argv.data(), envp.data());
      error = errno;
    }
    const ssize_t written = ::write(failure->write.get(), &error, sizeof error);
    ::_exit(written == sizeof error ? 127 : 126);
  }
  ::setpgid(pid, pid);  // whichever of the two comes first

  failure->write = Fd();
  int error = 0;
  if (::read(failure->read.get(), &error, sizeof error) == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    return fail(error == ENOENT ? Errc::not_found : Errc::internal,
                command[0] + ": " + ::strerror(error));
  }

  auto impl = std::make_unique<Impl>();
  impl->command = std::move(command);
  impl->pid = pid;
  impl->out_fd = std::move(out->read);
  impl->err_fd = std::move(err->read);
  impl->reader = std::thread([raw = impl.get()] { raw->read_outputs(); });
  return Process(std::move(impl));
}

Process::Process(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Process::Process(Process&&) noexcept = default;
Process& Process::operator=(Process&&) noexcept = default;
Process::~Process() = default;

pid_t Process::pid() const { return impl_->pid; }

std::optional<std::string> Process::read_line(std::chrono::milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  std::size_t end = std::string::npos;
  impl_->changed.wait_for(lock, limit, [&] {
    end = impl_->out.find('\n', impl_->read_up_to);
    return end != std::string::npos || impl_->outputs_ended;
  });
  if (end == std::string::npos) {
    // A last line may lack its newline.
    if (!impl_->outputs_ended || impl_->read_up_to == impl_->out.size()) return std::nullopt;
    end = impl_->out.size();
  }
  std::string line = impl_->out.substr(impl_->read_up_to, end - impl_->read_up_to);
  impl_->read_up_to = std::min(end + 1, impl_->out.size());
  return line;
}

std::optional<std::string> Process::wait_for_line(std::string_view text,
                                                  std::chrono::milliseconds limit) {
  const auto until = Clock::now() + limit;
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    auto line = read_line(std::max(left, std::chrono::milliseconds{0}));
    if (!line || line->find(text) != std::string::npos) return line;
  }
}

bool Process::wait_for_error(std::string_view text, std::chrono::milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  const auto found = [&] { return impl_->err.find(text) != std::string::npos; };
  impl_->changed.wait_for(lock, limit, [&] { return found() || impl_->outputs_ended; });
  return found();
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, limit, [&] { return impl_->status.has_value(); });
  return impl_->status;
}

void Process::signal(int number) {
  // Under the lock the process is not reaped yet, so its number is still its own.
  const std::lock_guard lock(impl_->mutex);
  if (!impl_->status) ::kill(impl_->pid, number);
}

void Process::kill() { signal(SIGKILL); }

std::string Process::standard_output() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->out;
}

std::string Process::standard_error() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->err;
}

std::string Process::transcript() const {
  const std::lock_guard lock(impl_->mutex);
  std::string text = "$";
  for (const std::string& word : impl_->command) text += " " + word;
  text += impl_->status ? "\n[status " + std::to_string(*impl_->status) + "]" : "\n[running]";
  text += "\n--- standard output\n" + impl_->out + "--- standard error\n" + impl_->err;
  return text;
}

}  // namespace aloft::testing
