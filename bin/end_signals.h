// The signals that end a daemon, for the thread that waits for them with sigwait().
#pragma once

#include <csignal>

namespace aloft {

// SIGTERM and SIGINT, blocked: called before any thread is there, so that only who waits gets them.
// A peer that is gone is no signal either, but an error of the write.
inline sigset_t block_end_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

}  // namespace aloft
