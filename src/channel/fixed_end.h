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
// Every received message is checked. An attachment that breaks the rules is given up like one that
// was lost, with `protocol`; what it said before stands.
//
// Does no I/O, reads no clock, takes no lock. Thread rule: one thread at a time; the port is called
// from within the calls that it answers to, and must not call back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "channel/attachment.h"
#include "channel/end_message.h"
#include "channel/replay_log.h"
#include <aloft/result.h>

namespace aloft::channel {

enum class Kind : std::uint8_t {
  reliable,  // every message is delivered
  latest,    // a message that has not left yet is dropped when a newer one is sent
  deadline,  // a message that has not left by its deadline is dropped
};

struct FixedEndOptions {
  bool has_state = false;
  bool has_effects = false;  // deliveries must not be repeated; not together with has_state
  Kind kind = Kind::reliable;
  Duration deadline{};                                      // Kind::deadline: from send()
  std::size_t in_flight = 4;                                // unanswered at home
  std::size_t max_messages = 1024;                          // in the log and waiting
  std::size_t max_bytes = std::size_t{32} << 20;            // bodies of these
  Duration resume_within = std::chrono::milliseconds(250);  // a lost home, before it is recovered
  Duration step_timeout = std::chrono::seconds(5);          // of each step of a move or recovery
  bool recover_here = true;  // with no other place to go, this process; else it waits for a link
  // The object at home here can be lost as well: it is logged and copied as anywhere else, and
  // take_here() takes nothing. Otherwise it lasts as long as this process, nothing is kept for it,
  // and the channel is over should it be lost all the same.
  bool here_may_fail = false;
};

// What became of a message; told once for each send() that succeeded. Answers are told in order of
// the sequence, what was dropped at once.
struct Outcome {
  Sequence sequence = 0;
  Result<SharedBytes> result;  // dropped messages: Errc::cancelled (latest), deadline_exceeded
  Time sent{};                 // age of the result: now - sent
  PlaceIndex place = kHere;    // where the answer was computed
  bool dropped = false;        // never left
};

// One for each move that was accepted, and for each recovery.
struct MoveReport {
  PlaceIndex from = kHere;
  PlaceIndex to = kHere;
  std::uint32_t module = 0;  // version after the move
  bool recovery = false;     // home was lost
  Result<void> result;
  Duration took{};  // from the request
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
  // Of the attachment at kHere that is home from the beginning, without Attach
  // (MovableEndOptions::serves).
  static constexpr Epoch kFirstEpoch = 1;

  // Begins at `kHere`, with module version 0. With a state and here_may_fail, `initial` is the
  // first checkpoint's bytes, not null. The place here is always up.
  FixedEnd(FixedEndOptions options, FixedEndPort& port, SharedBytes initial = nullptr);
  FixedEnd(const FixedEnd&) = delete;
  FixedEnd& operator=(const FixedEnd&) = delete;

  // Errors: overloaded (log or queue full), resource_exhausted (larger than max_bytes),
  // deadline_exceeded (already over), refused (closed), invalid_argument (no body).
  [[nodiscard]] Result<Sequence> send(std::uint32_t method, SharedBytes body, Time now,
                                      std::optional<Time> deadline = {});
  // Gives up a message that has not left; nothing otherwise.
  void cancel(Sequence sequence, Time now);

  // Where it is already, it is told at once that it moved. Errors: refused (a move is under way,
  // home is being recovered, or closed), unreachable (that place is down).
  [[nodiscard]] Result<void> move(PlaceIndex to, std::uint32_t module, Time now);
  // A copy of the state, for a later recovery; by itself when the log is half full.
  void checkpoint(Time now);

  void place_up(PlaceIndex place, Time now);    // a link, module open
  void place_down(PlaceIndex place, Time now);  // all under way is gone
  void received(PlaceIndex place, EndMessage message, Time now);
  // When something is to be done without an event; on_timer() at or after it.
  [[nodiscard]] std::optional<Time> wakes_at() const;
  void on_timer(Time now);
  // Ends what waits with `why` (`interrupted` what had left and has effects), and detaches.
  void close(const Error& why, Time now);
  [[nodiscard]] bool closed() const { return closed_; }  // by close(), or since all is lost

  [[nodiscard]] PlaceIndex home() const { return home_.place; }
  [[nodiscard]] std::uint32_t module() const { return home_.module; }  // version at home
  [[nodiscard]] bool moving() const { return relocation_.has_value(); }
  // Nothing under way, waiting or moving, and home is here: the owner may run one message by
  // itself, now, on both ends (MovableEnd::skip), and take its number.
  [[nodiscard]] std::optional<Sequence> take_here();

  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    std::uint64_t dropped = 0;
    std::uint64_t repeated = 0;    // deliveries
    std::uint64_t duplicates = 0;  // answers that had been told
    std::uint64_t interrupted = 0;
    std::uint64_t moves = 0;
    std::uint64_t recoveries = 0;
    std::size_t log_messages = 0;  // now, those that wait included
    std::size_t log_bytes = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  // fixed_end.cc: messages
  void pump(Time now);
  void deliver(LoggedMessage& message);
  void drop(const LoggedMessage& message, Error why);
  void tell(Time now);
  void take(Attachment& from, Answer& answer, Time now);
  void take(State& message, Time now);
  void acknowledge(Attachment& to);
  // Whether messages stay for a replay.
  [[nodiscard]] bool logs() const;
  void request_snapshot();
  void keep_checkpoint();
  void trim();
  void checkpoint_if_half_full();

  // fixed_end_places.cc: attachments, and how they are lost
  template <class Content>
  void transmit(const Attachment& to, Content content);
  void detach(PlaceIndex place, std::uint32_t module, Epoch epoch);
  [[nodiscard]] bool up(PlaceIndex place) const { return up_.contains(place); }
  [[nodiscard]] Attachment* attachment(PlaceIndex place, Epoch epoch);
  void from_attachment(Attachment& from, EndMessage& message, Time now);
  void resume(Attachment& attachment, Time now);
  void resumed(Attachment& attachment, const Attached& message, Time now);
  void link_lost(Attachment& attachment, Time now);
  void attachment_lost(Attachment& attachment, Error why, Time now);
  void release(Attachment& attachment);
  void end(const Error& why, Time now);

  // relocation.cc: moves and recoveries
  void from_destination(EndMessage& message, Time now);
  void destination_lost(Error why, Time now);
  void recover(Error why, Time now);
  void try_next_place(Time now);
  void attach(PlaceIndex place, Time now);
  void advance(Time now);
  void install(Finality final, Time now);
  void make_home(Time now);
  void abort_move(Error why, Time now);
  [[nodiscard]] MoveReport report(Time now) const;
  // Whether home takes messages.
  [[nodiscard]] bool serving() const;

  const FixedEndOptions options_;
  FixedEndPort& port_;
  ReplayLog log_;
  Sequence last_sequence_ = 0;
  Epoch last_epoch_ = kFirstEpoch;
  std::set<PlaceIndex> up_{kHere};

  Attachment home_;
  std::vector<Attachment> old_;  // former homes without state that still have messages to answer
  // Attachments that were given up while their place was down: to be told when it is up.
  std::vector<Attachment> abandoned_;
  std::optional<Checkpoint> checkpoint_;
  bool snapshot_wanted_ = false;  // of home
  Sequence snapshot_from_ = 0;    // answered when it was asked for
  std::optional<Relocation> relocation_;
  std::optional<PlaceIndex> preferred_;  // for a recovery: where the move went that it ended
  std::uint32_t in_vain_ = 0;            // recoveries since something was answered
  bool closed_ = false;
  Counters counters_;
};

}  // namespace aloft::channel
