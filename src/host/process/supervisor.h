// The process that outlives its workers: it owns the listening socket and has a worker behind it at
// all times.
//
// A worker (one process) runs guests and inferences. Some of what they do cannot be undone inside a
// process: a single operator of a model that computes for minutes ignores every request to end. A
// worker in such a state hands over to a spare one that stands by, fully started, and ends;
// connections made meanwhile wait in the backlog of the socket that all share. A worker that
// crashes is replaced in the same way.
//
//   supervisor ---- socketpair ---- worker, serving          'S' serve   'E' end        (supervisor
//   -> worker)
//              ---- socketpair ---- worker, standing by      'R' ready   'H' hand over  (worker ->
//              supervisor)
//              ---- socketpair ---- worker, leaving
//
// The supervisor has one thread, opens no files of its own and parses nothing that comes from
// outside, so that it is hard to bring down; forking it is safe for the same reason. It must not
// have started a thread before supervise().
#pragma once

#include <chrono>
#include <functional>

#include <aloft/result.h>

namespace aloft::host {

// A worker's end of the line to its supervisor. Thread rule: hand_over() from any thread, the rest
// from one.
class SupervisorLink {
 public:
  explicit SupervisorLink(int socket)
      : socket_(socket) {}  // borrowed; closed by the end of the process
  SupervisorLink(const SupervisorLink&) = delete;
  SupervisorLink& operator=(const SupervisorLink&) = delete;

  enum class Order { serve, end };
  // The worker is able to serve: its engines are there.
  void ready() const;
  // Waits for what to do next. `end` as well when the supervisor is gone.
  [[nodiscard]] Order wait_for_order() const;
  // Another worker takes the listening socket over from now on; this one ends itself soon.
  void hand_over() const;

 private:
  int socket_;
};

struct SupervisorOptions {
  std::chrono::milliseconds end_limit{
      3000};  // for a worker that was told to end, or handed over; then SIGKILL
};

// What a worker process does: everything from its start to its end. Its value is the process's exit
// status.
using Work = std::function<int(SupervisorLink&)>;

// Runs workers until SIGTERM or SIGINT, then ends them. `started` is called once, when the first
// worker is ready. Gives the exit status: 0 after a signal; that of the first worker when it ends
// before it was ready, which says that no other would start either; 1 when the system refuses what
// the supervisor needs.
[[nodiscard]] int supervise(const Work& work, const std::function<void()>& started,
                            SupervisorOptions options = {});

}  // namespace aloft::host
