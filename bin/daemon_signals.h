// The signals that a daemon obeys, for the thread that waits for them with sigwait(): SIGTERM and
// SIGINT end it, SIGHUP has it read its files again.
#pragma once

#include <csignal>

namespace aloft {

// All three, blocked: called before any thread is there, so that only who waits gets them. A peer
// that is gone is no signal either, but an error of the write.
inline sigset_t block_daemon_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Returns the signal that ends it; `reload` runs with each SIGHUP until then.
template <class Reload>
int wait_for_end(const sigset_t& signals, Reload reload) {
  for (;;) {
    int signal = 0;
    ::sigwait(&signals, &signal);
    if (signal != SIGHUP) return signal;
    reload();
  }
}

}  // namespace aloft
