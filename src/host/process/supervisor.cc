#include "host/process/supervisor.h"

#include <algorithm>
#include <array>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "host/process/restart_pause.h"

namespace aloft::host {
namespace {

using Clock = std::chrono::steady_clock;

enum : char { kServe = 'S', kEnd = 'E', kReady = 'R', kHandOver = 'H' };

void tell(int socket, char what) {
  // A worker that is gone is noticed by its SIGCHLD.
  while (::send(socket, &what, 1, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

// None: the other end is closed.
std::optional<char> hear(int socket) {
  char what = 0;
  ssize_t got = 0;
  do {
    got = ::recv(socket, &what, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) return std::nullopt;
  return what;
}

std::string describe(int status) {
  if (WIFSIGNALED(status)) return std::string("signal ") + ::strsignal(WTERMSIG(status));
  return "status " + std::to_string(WEXITSTATUS(status));
}

enum class Role { standing_by, serving, leaving };

struct Worker {
  Worker(pid_t process, int line) : pid(process), socket(line) {}
  pid_t pid;
  Descriptor socket;
  Role role = Role::standing_by;
  bool ready = false;
  bool line_ended = false;
  Clock::time_point started = Clock::now();
  Clock::time_point kill_at = Clock::time_point::max();
};

class Supervisor {
 public:
  Supervisor(const Work& work, const std::function<void()>& started,
             const SupervisorOptions& options)
      : work_(work), started_(started), options_(options) {
    ::sigemptyset(&watched_);
    for (const int number : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&watched_, number);
    ::sigprocmask(SIG_BLOCK, &watched_, &before_);
    signals_.emplace(::signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Supervisor() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  int run() {
    if (signals_->get() < 0) {
      spdlog::error("supervisor: signalfd: {}", ::strerror(errno));
      return 1;
    }
    if (!start_worker()) return 1;
    while (!status_) step();
    for (Worker& worker : workers_) send_away(worker);
    while (!workers_.empty()) step();
    return *status_;
  }

 private:
  // Waits for the next thing to happen and deals with it.
  void step() {
    std::vector<pollfd> fds{{signals_->get(), POLLIN, 0}};
    for (const Worker& worker : workers_) {
      // One whose line has ended is only waited for.
      fds.push_back({worker.line_ended ? -1 : worker.socket.get(), POLLIN, 0});
    }
    if (::poll(fds.data(), fds.size(), until_something_is_due()) < 0 && errno != EINTR) {
      spdlog::error("supervisor: poll: {}", ::strerror(errno));
      status_ = 1;
      return;
    }
    auto fd = fds.begin();
    for (Worker& worker : workers_) {
      if ((++fd)->revents != 0) hear_from(worker);
    }
    if (fds.front().revents != 0) take_signals();
    reap();
    kill_late();
    if (!status_) fill_posts();
  }

  // Milliseconds, as poll wants them.
  [[nodiscard]] int until_something_is_due() const {
    auto first = may_start_at_ > Clock::now() ? may_start_at_ : Clock::time_point::max();
    for (const Worker& worker : workers_) first = std::min(first, worker.kill_at);
    if (first == Clock::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now());
    return static_cast<int>(std::max(left, std::chrono::milliseconds{0}).count());
  }

  void hear_from(Worker& worker) {
    const std::optional<char> what = hear(worker.socket.get());
    if (!what) {
      worker.line_ended = true;
    } else if (*what == kReady) {
      worker.ready = true;
      if (!std::exchange(said_started_, true)) started_();
    } else if (*what == kHandOver && worker.role == Role::serving) {
      spdlog::warn("worker {} hands over", worker.pid);
      worker.role = Role::leaving;
      worker.kill_at = Clock::now() + options_.end_limit;
    }
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_->get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo != SIGCHLD) status_ = status_.value_or(0);
    }
  }

  void reap() {
    int raw = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &raw, WNOHANG)) > 0;) {
      const auto ended = std::ranges::find(workers_, pid, &Worker::pid);
      if (ended == workers_.end()) continue;
      if (ended->role != Role::leaving) lose(*ended, raw);
      workers_.erase(ended);
    }
  }

  // A worker ended that was not told to.
  void lose(const Worker& worker, int raw) {
    if (!said_started_) {
      status_ = WIFEXITED(raw) && WEXITSTATUS(raw) != 0 ? WEXITSTATUS(raw) : 1;
      return;
    }
    spdlog::error("worker {} ended with {}", worker.pid, describe(raw));
    may_start_at_ = Clock::now() + restarts_.after_end(Clock::now() - worker.started);
  }

  void kill_late() {
    for (Worker& worker : workers_) {
      if (worker.kill_at > Clock::now()) continue;
      if (!status_) spdlog::warn("worker {} does not end and is killed", worker.pid);
      ::kill(worker.pid, SIGKILL);
      worker.kill_at = Clock::time_point::max();
    }
  }

  // One worker serves, one stands by.
  void fill_posts() {
    const auto find = [this](Role role) {
      return std::ranges::find(workers_, role, &Worker::role);
    };
    if (find(Role::serving) == workers_.end()) {
      if (const auto next = find(Role::standing_by); next != workers_.end()) {
        next->role = Role::serving;
        tell(next->socket.get(), kServe);
      }
    }
    // The first worker has the machine for itself until it is ready.
    if (!said_started_ || find(Role::standing_by) != workers_.end() || Clock::now() < may_start_at_)
      return;
    if (!start_worker()) may_start_at_ = Clock::now() + restarts_.after_failure();
  }

  bool start_worker() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      spdlog::error("supervisor: socketpair: {}", ::strerror(errno));
      return false;
    }
    const pid_t supervisor = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
      spdlog::error("supervisor: fork: {}", ::strerror(errno));
      ::close(ends[0]);
      ::close(ends[1]);
      return false;
    }
    if (pid == 0) {
      ::close(ends[0]);
      be_worker(supervisor, ends[1]);
    }
    ::close(ends[1]);
    workers_.emplace_back(pid, ends[0]);
    return true;
  }

  // In the new process. The supervisor's ends of the other workers' lines are closed here: left
  // open, they would keep those workers from noticing that their supervisor is gone.
  [[noreturn]] void be_worker(pid_t supervisor, int line) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != supervisor) ::_exit(1);
    ::close(signals_->get());
    for (const Worker& other : workers_) ::close(other.socket.get());
    // A terminal, and much else, sends these to the whole group; it is the supervisor that says
    // when to end.
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_IGN);
    ::sigprocmask(SIG_SETMASK, &before_, nullptr);
    SupervisorLink link(line);
    // Without destructors: they belong to the supervisor, and a thread that is stuck would be
    // waited for.
    ::_exit(work_(link));
  }

  void send_away(Worker& worker) {
    worker.role = Role::leaving;
    worker.kill_at = std::min(worker.kill_at, Clock::now() + options_.end_limit);
    tell(worker.socket.get(), kEnd);
  }

  const Work& work_;
  const std::function<void()>& started_;
  const SupervisorOptions options_;
  sigset_t watched_{}, before_{};
  std::optional<Descriptor> signals_;
  std::list<Worker> workers_;
  bool said_started_ = false;
  RestartPause restarts_;
  Clock::time_point may_start_at_{};
  std::optional<int> status_;  // set: workers are being ended, this is what supervise() gives
};

}  // namespace

void SupervisorLink::ready() const { tell(socket_, kReady); }

SupervisorLink::Order SupervisorLink::wait_for_order() const {
  return hear(socket_) == kServe ? Order::serve : Order::end;
}

void SupervisorLink::hand_over() const { tell(socket_, kHandOver); }

int supervise(const Work& work, const std::function<void()>& started, SupervisorOptions options) {
  return Supervisor(work, started, options).run();
}

}  // namespace aloft::host
