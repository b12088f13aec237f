// One attachment of the movable end of an elastic channel, at its place: takes deliveries in order,
// once each, has them run one at a time, keeps answers until they are acknowledged, and copies its
// state between two calls.
//
// Does no I/O, reads no clock, takes no lock. Thread rule: one thread at a time; host and port are
// called from within the calls that they answer to, and must not call back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::channel {

struct MovableEndOptions {
  bool has_state = false;
  std::size_t max_held = 1024;                        // deliveries and answers kept
  std::size_t max_held_bytes = std::size_t{64} << 20;  // bodies of these
};

// Runs what the end decides; one at a time, each answered by executed(), saved() or loaded().
class MovableEndHost {
 public:
  virtual void execute(Sequence sequence, std::uint32_t method, SharedBytes body) = 0;
  virtual void save() = 0;                  // encode the state
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

  void received(EndMessage message);  // of this epoch
  // `trapped`, or another failure after which the object is gone: an answer, then Lost.
  void executed(Result<SharedBytes> outcome, bool object_lives);
  void saved(Result<SharedBytes> state);
  void loaded(Result<void> outcome);
  // The link is gone: the end waits to be resumed, or is destroyed by its owner.
  void link_down();
  // Its owner ran this message itself (FixedEnd::take_here).
  void skip(Sequence sequence);

  [[nodiscard]] bool detached() const;  // or lost: to be destroyed
  [[nodiscard]] bool idle() const;      // nothing runs, nothing waits to run
};

}  // namespace aloft::channel
