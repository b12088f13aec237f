// What the fixed end of an elastic channel knows of one attachment, and of a move to a new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "channel/end_message.h"
#include "channel/replay_log.h"
#include <aloft/result.h>

namespace aloft::channel {

// A state that home has, too, and changes can be told against. May be ahead of the answers.
struct StateCopy {
  std::uint64_t version = 0;
  Sequence at = 0;
  SharedBytes bytes;  // null: none
};

// A state of which all answers have come: what a recovery begins with.
struct Checkpoint {
  Sequence at = 0;
  SharedBytes bytes;
};

struct Attachment {
  enum class Link : std::uint8_t {
    up,
    down,      // its place is; it may be resumed
    resuming,  // asked to go on
    gone,      // lost for good
  };

  Epoch epoch = 0;
  PlaceIndex place = kHere;
  std::uint32_t module = 0;
  Link link = Link::up;
  Time resume_until{};         // while down or resuming
  Time lost_at{};              // while not up
  std::deque<Sequence> out{};  // delivered and unanswered, rising: answered in this order
  Sequence delivered = 0;      // the last one
  Sequence answered = 0;       // the last one, in the same order
  Sequence began = 0;          // both of them when it became home
  std::size_t unacknowledged = 0;
  std::size_t unacknowledged_bytes = 0;
  Time last_answer{};
  StateCopy copy{};
};

enum class Finality : std::uint8_t { not_final, final };

inline constexpr std::uint32_t kMaxCopyRounds = 4;
// Changes that are copied while nothing serves: more is copied in another round before.
inline constexpr std::size_t kLittleState = 64 * 1024;

// An end that is lost again and again at places that are up, with nothing answered in between, does
// not compute the same at each of them. So often it is recovered at once, and so often in all.
inline constexpr std::uint32_t kRecoveredAtOnce = 3;
inline constexpr std::uint32_t kRecoveredInVain = 8;

// A move or a recovery that is under way.
struct Relocation {
  enum class Step : std::uint8_t {
    waiting,     // for a place to recover at
    attaching,   // and, with state, copying
    draining,    // no new message goes home; those there are being answered
    last_copy,   // the state after the last of them is on its way here
    installing,  // and there
  };

  bool recovery = false;
  PlaceIndex from = kHere;
  PlaceIndex to = kHere;
  std::uint32_t module = 0;
  Epoch epoch = 0;
  Step step = Step::attaching;
  Time requested{};
  std::optional<Time> deadline{};  // of the step
  Time cut{};                      // when home stopped
  Error why{};                     // recovery: what was lost, or why the last place did not do

  bool attached = false;
  bool install_out = false;   // an Install is unanswered
  std::uint64_t version = 0;  // of the state installed last; what it was
  Sequence at = 0;
  SharedBytes bytes{};
  std::uint64_t copied_bytes = 0;
  std::uint64_t to_copy = 0;  // about what would have to be installed now
  std::uint32_t rounds = 0;
  std::vector<PlaceIndex> tried{};  // recovery: in vain
};

}  // namespace aloft::channel
