#include "host/process/supervisor.h"

#include <array>
#include <cstdlib>
#include <functional>
#include <utility>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

// A supervisor in a process of its own. Its workers write their process number to a pipe when they
// serve.
class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(pipe_.data()), 0); }
  ~SupervisorTest() override {
    if (supervisor_ > 0) {
      ::kill(supervisor_, SIGKILL);
      ::waitpid(supervisor_, nullptr, 0);
    }
    for (const int end : pipe_) ::close(end);
  }

  void start(const Work& work, SupervisorOptions options = {}) {
    supervisor_ = ::fork();
    if (supervisor_ == 0) ::_exit(supervise(work, [] {}, options));
  }
  // Of the next worker that serves; 0 when none does within two seconds.
  pid_t next_serving() {
    pollfd readable{pipe_[0], POLLIN, 0};
    pid_t worker = 0;
    if (::poll(&readable, 1, 2000) != 1) return 0;
    return ::read(pipe_[0], &worker, sizeof worker) == sizeof worker ? worker : 0;
  }
  // The supervisor's exit status.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(supervisor_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  // In a worker: waits for its turn, says so, and gives what it is told then.
  [[nodiscard]] SupervisorLink::Order serve(SupervisorLink& link) const {
    link.ready();
    if (link.wait_for_order() == SupervisorLink::Order::end) return SupervisorLink::Order::end;
    const pid_t self = ::getpid();
    if (::write(pipe_[1], &self, sizeof self) != sizeof self) ::_exit(9);
    return link.wait_for_order();
  }

  std::array<int, 2> pipe_{};
  pid_t supervisor_ = -1;
};

TEST_F(SupervisorTest, one_worker_serves_until_the_end) {
  start([this](SupervisorLink& link) { return serve(link) == SupervisorLink::Order::end ? 0 : 5; });
  ASSERT_NE(next_serving(), 0);
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(wait(), 0);
}

TEST_F(SupervisorTest, a_worker_that_is_killed_is_followed_at_once) {
  start([this](SupervisorLink& link) { return serve(link) == SupervisorLink::Order::end ? 0 : 5; });
  pid_t worker = next_serving();
  for (int round = 0; round < 3; ++round) {
    ASSERT_NE(worker, 0);
    ::kill(worker, SIGKILL);
    const pid_t next = next_serving();
    EXPECT_NE(next, worker);
    worker = next;
  }
  EXPECT_NE(worker, 0);
}

TEST_F(SupervisorTest, a_worker_that_hands_over_is_followed_before_it_ends) {
  start(
      [this](SupervisorLink& link) {
        link.ready();
        if (link.wait_for_order() == SupervisorLink::Order::end) return 0;
        const pid_t self = ::getpid();
        if (::write(pipe_[1], &self, sizeof self) != sizeof self) return 9;
        link.hand_over();
        while (true) ::pause();  // until the supervisor loses patience
      },
      {.end_limit = 200ms});
  const pid_t first = next_serving();
  ASSERT_NE(first, 0);
  const pid_t second = next_serving();
  EXPECT_NE(second, 0);
  EXPECT_NE(second, first);
}

TEST_F(SupervisorTest, workers_end_with_their_supervisor) {
  start([this](SupervisorLink& link) { return serve(link) == SupervisorLink::Order::end ? 0 : 5; });
  ASSERT_NE(next_serving(), 0);
  // The last writer of the pipe is gone when all workers are.
  ::close(std::exchange(pipe_[1], ::dup(pipe_[0])));
  ::kill(supervisor_, SIGKILL);
  EXPECT_EQ(wait(), 128 + SIGKILL);
  pollfd closed{pipe_[0], POLLIN, 0};
  ASSERT_EQ(::poll(&closed, 1, 2000), 1);
  EXPECT_NE(closed.revents & POLLHUP, 0);
}

TEST_F(SupervisorTest, a_first_worker_that_cannot_start_ends_the_supervisor_with_its_status) {
  start([](SupervisorLink&) { return 7; });
  EXPECT_EQ(wait(), 7);
}

TEST_F(SupervisorTest, a_worker_that_does_not_end_when_told_is_killed) {
  start(
      [this](SupervisorLink& link) {
        (void)serve(link);
        while (true) ::pause();
        return 0;
      },
      {.end_limit = 100ms});
  ASSERT_NE(next_serving(), 0);
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(wait(), 0);
}

}  // namespace
}  // namespace aloft::host
