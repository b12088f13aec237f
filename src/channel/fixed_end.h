// The fixed end of an elastic channel: numbers messages, keeps what may be needed again, decides
// where the movable end is, and moves it.
//
// Exactly once, in order. Each message gets the next sequence number. It is delivered to the home
// attachment, at most `in_flight` of them unanswered, and its answer is told in order of the
// sequence, once. A message stays in the log until nothing can need it again: for an end without
// state until it is answered, for one with state until a checkpoint (a copy of the state, kept
// here) covers it. The log and what waits are bounded in bytes and in number: beyond that send()
// says `overloaded`.
//
// A lost link is first resumed: the attachment lives on at its place for a while, says what it
// received, and repeats answers that were lost. One that cannot be resumed (its process died, the
// grace is over, it says Lost) is recovered at another place: the checkpoint is installed there and
// the log replayed; answers that were told before are not told again. This gives the same state,
// since a module computes the same bits everywhere. An end whose messages have effects is not
// replayed: what was delivered and not answered ends with `interrupted`.
//
// A move makes before it breaks:
//   attach     a new attachment is made at the destination (module loaded, instance warm)
//   copy       the state is copied while home serves: a snapshot, then changed blocks, at most
//              kMaxCopyRounds times or until little changes
//   cut over   no new message goes home; when all there are answered, the last changes are copied
//              and installed; the destination is home, and gets what waited
// Without state there is nothing to copy: the destination is home as soon as it is attached, what
// was delivered before is still answered from the old place, and no message waits. Whatever fails
// before the destination is home leaves home as it was. A new version of a module is taken by a
// move to an attachment of that version, maybe at the same place.
//
// Does no I/O, reads no clock, takes no lock. Thread rule: one thread at a time; the port is called
// from within the calls that it answers to, and must not call back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::channel {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

enum class Kind : std::uint8_t {
  reliable,  // every message is delivered
  latest,    // a message that has not left yet is dropped when a newer one is sent
  deadline,  // a message that has not left by its deadline is dropped
};

struct FixedEndOptions {
  bool has_state = false;
  bool has_effects = false;  // deliveries must not be repeated; not together with has_state
  Kind kind = Kind::reliable;
  Duration deadline{};             // Kind::deadline: from send()
  std::size_t in_flight = 4;       // unanswered at home
  std::size_t max_messages = 1024;  // in the log and waiting
  std::size_t max_bytes = std::size_t{32} << 20;   // bodies of these
  Duration resume_within = std::chrono::milliseconds(250);  // a lost home, before it is recovered
  Duration step_timeout = std::chrono::seconds(5);  // of each step of a move or recovery
  bool recover_here = true;  // with no other place to go, this process; else it waits for a link
};

// What became of a message; told once for each send() that succeeded, in their order.
struct Outcome {
  Sequence sequence = 0;
  Result<SharedBytes> result;  // dropped messages: Errc::cancelled (latest), deadline_exceeded
  Time sent{};                 // age of the result: now - sent
  PlaceIndex place = kHere;    // where the answer was computed
  bool dropped = false;        // never left
};

struct MoveReport {
  PlaceIndex from = kHere;
  PlaceIndex to = kHere;
  std::uint32_t module = 0;    // version after the move
  bool recovery = false;       // home was lost
  Result<void> result;
  Duration took{};             // from the request
  // In which no place served: from the last answer (or the cut, when later) to the first delivery
  // at the new home. 0 without state.
  Duration blackout{};
  std::uint64_t state_bytes = 0;   // of the whole state
  std::uint64_t copied_bytes = 0;  // in all rounds
  std::uint32_t rounds = 0;
};

class FixedEndPort {
 public:
  // To the attachment `epoch` at a place that is up. A new epoch begins with Attach without resume,
  // for the module version given.
  virtual void transmit(PlaceIndex place, std::uint32_t module, EndMessage message) = 0;
  virtual void ended(Outcome outcome) = 0;
  // Once for each move() that was accepted, and for each recovery.
  virtual void moved(const MoveReport& report) = 0;

 protected:
  ~FixedEndPort() = default;
};

class FixedEnd {
 public:
  // Begins at `kHere`, with module version 0 and, if there is a state, `initial` as the first
  // checkpoint's bytes. The place here is always up.
  FixedEnd(FixedEndOptions options, FixedEndPort& port);

  // Errors: overloaded (log or queue full), deadline_exceeded (already over), refused (closed).
  [[nodiscard]] Result<Sequence> send(std::uint32_t method, SharedBytes body, Time now,
                                      std::optional<Time> deadline = {});
  // Gives up a message that has not left; nothing otherwise.
  void cancel(Sequence sequence, Time now);

  // Errors: refused (a move is under way, or closed), unreachable (that place is down).
  [[nodiscard]] Result<void> move(PlaceIndex to, std::uint32_t module, Time now);
  // A copy of the state, for a later recovery; by itself when the log is half full.
  void checkpoint(Time now);

  void place_up(PlaceIndex place, Time now);    // a link, module open
  void place_down(PlaceIndex place, Time now);  // all under way is gone
  void received(PlaceIndex place, EndMessage message, Time now);
  // When something is to be done without an event; on_timer() at or after it.
  [[nodiscard]] std::optional<Time> wakes_at() const;
  void on_timer(Time now);
  // Ends what waits with `why`, and detaches.
  void close(const Error& why, Time now);

  [[nodiscard]] PlaceIndex home() const;
  [[nodiscard]] bool moving() const;
  // Nothing under way, waiting or moving, and home is here: the owner may run one message by
  // itself, now, on both ends (MovableEnd::skip), and take its number.
  [[nodiscard]] std::optional<Sequence> take_here();

  struct Counters {
    std::uint64_t sent = 0, answered = 0, dropped = 0, repeated = 0 /* deliveries */, duplicates = 0
        /* answers that had been told */, interrupted = 0, moves = 0, recoveries = 0;
    std::size_t log_messages = 0, log_bytes = 0;  // now
  };
  [[nodiscard]] Counters counters() const;
};

}  // namespace aloft::channel
