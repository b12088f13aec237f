// One attachment of the movable end of an elastic channel, at its place: takes deliveries in order,
// once each, has them run one at a time, keeps answers until they are acknowledged, and copies its
// state between two calls.
//
// Trusts nothing that it receives: what does not fit its state is answered with Lost and
// `protocol`.
//
// Does no I/O, reads no clock, takes no lock. Thread rule: one thread at a time; host and port are
// called from within the calls that it answers to, and must not call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::channel {

struct MovableEndOptions {
  bool has_state = false;
  // The object is there with its state: serves from message 1 on without Attach and Install. The
  // first attachment, at kHere.
  bool serves = false;
  std::size_t max_held = 1024;                         // deliveries and answers kept
  std::size_t max_held_bytes = std::size_t{64} << 20;  // bodies of these
};

// Runs what the end decides; one at a time, each answered by executed(), saved() or loaded(), but
// for those of an end that is detached by then.
class MovableEndHost {
 public:
  virtual void execute(Sequence sequence, std::uint32_t method, SharedBytes body) = 0;
  virtual void save() = 0;                   // encode the state
  virtual void load(SharedBytes state) = 0;  // decode it into a fresh object

 protected:
  ~MovableEndHost() = default;
};

class MovableEndPort {
 public:
  virtual void transmit(EndMessage message) = 0;  // dropped while there is no link

 protected:
  ~MovableEndPort() = default;
};

class MovableEnd {
 public:
  MovableEnd(Epoch epoch, MovableEndOptions options, MovableEndHost& host, MovableEndPort& port);
  MovableEnd(const MovableEnd&) = delete;
  MovableEnd& operator=(const MovableEnd&) = delete;

  // What an owner answers to an Attach with resume of an end that it does not have.
  [[nodiscard]] static EndMessage unknown(Epoch epoch);

  void received(EndMessage message);  // of another epoch: ignored
  // The object does not live: it trapped, or failed in another way after which it is gone; the
  // answer is followed by Lost. Of an end without state the object always lives: a fresh instance
  // is the host's matter. An Error of an object that lives has changed nothing in it.
  void executed(Result<SharedBytes> outcome, bool object_lives);
  // An Error of an object that lives is told, and the end goes on.
  void saved(Result<SharedBytes> state, bool object_lives = true);
  void loaded(Result<void> outcome);
  // The link is gone: the end goes on with what it has, and waits to be resumed or to be destroyed
  // by its owner.
  void link_down();
  // Its owner ran this message itself (FixedEnd::take_here).
  void skip(Sequence sequence);

  // Or lost, and the fixed end was told: to be destroyed.
  [[nodiscard]] bool detached() const { return detached_; }
  [[nodiscard]] bool idle() const;  // nothing runs, nothing waits to run

 private:
  struct Delivery {
    Sequence sequence;
    std::uint32_t method;
    SharedBytes body;
  };
  // A copy of the state that the fixed end may have, too.
  struct Copy {
    std::uint64_t version = 0;  // 0: none
    Sequence at = 0;
    SharedBytes bytes;
  };

  void take(Attach& message);
  void take(Install& message);
  void take(Deliver& message);
  void take(SnapshotWanted& message);
  void take(Acknowledge& message) { forget(message.answered); }
  void take(Detach& message);
  template <class Other>
  void take(Other& message);  // what only a fixed end receives

  template <class Content>
  void transmit(Content content);
  void repeat(Sequence sequence);  // its answer, if it is kept
  void forget(Sequence answered);  // answers up to here
  void next();                     // starts what is to run, unless something runs
  void lose(Error why);
  [[nodiscard]] bool serves() const { return attached_ && (loaded_ || !options_.has_state); }

  const Epoch epoch_;
  const MovableEndOptions options_;
  MovableEndHost& host_;
  MovableEndPort& port_;

  bool attached_ = false;
  bool link_ = false;
  bool loaded_ = false;
  bool detached_ = false;
  std::optional<Error> dying_;  // to be told with the next link

  enum class Running : std::uint8_t { nothing, call, save, load };
  Running running_ = Running::nothing;
  Sequence received_ = 0;  // the last delivery that came, and the last that ran
  Sequence executed_ = 0;
  std::deque<Delivery> waiting_;  // the front runs while running_ is call
  std::deque<Answer> answers_;    // unacknowledged
  std::size_t waiting_bytes_ = 0;
  std::size_t answer_bytes_ = 0;

  std::optional<std::uint64_t> snapshot_base_;  // a snapshot is wanted
  Copy copy_;                                   // installed or saved last, or being installed
};

}  // namespace aloft::channel
