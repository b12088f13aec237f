// What the two ends of an elastic channel say to each other.
//
// An elastic channel has a fixed end (the application, fixed_end.h) and a movable one (a module's
// function or object, movable_end.h), which is attached at a place under an epoch. The fixed end
// alone decides which attachment is the one that counts; a movable end never talks to another.
// Messages of one attachment arrive in the order they were sent, or the link is lost and none of
// what was under way arrives (wire.md, "What a lost connection means").
//
//   fixed end                              movable end
//   Attach                            ->
//                                     <-   Attached
//   Install (one or more, the last is final)
//                                     ->
//                                     <-   Installed (for each)
//   Deliver                           ->
//                                     <-   Answer
//   Acknowledge                       ->
//   SnapshotWanted                    ->
//                                     <-   State
//   Detach                            ->
//                                     <-   Lost (any time: this attachment serves no more)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include <aloft/result.h>

namespace aloft::channel {

using Sequence = std::uint64_t;  // of a message of one channel, from 1; 0: none
using Epoch = std::uint64_t;     // of an attachment, from 1, never used twice by one channel
using PlaceIndex = std::uint32_t;
inline constexpr PlaceIndex kHere = 0;  // this process; edges count from 1

using Bytes = std::vector<std::byte>;
using SharedBytes = std::shared_ptr<const Bytes>;  // never null where a message has one

inline constexpr std::size_t kStateBlock = 4096;  // bytes; the last block of a state may be shorter
// Runs of adjacent indices in StateBlocks::blocks, so that they fit the head of a message.
inline constexpr std::size_t kMaxStateRuns = 1024;

// An end keeps answers until they are acknowledged. The fixed end acknowledges with the next
// delivery; where none follows, once so many bytes or answers wait.
inline constexpr std::size_t kAcknowledgeBytes = 64 * 1024;
inline constexpr std::size_t kAcknowledgeAnswers = 16;

// A state as it is, or what changed of it since an earlier one (state_blocks.h).
struct StateBlocks {
  std::uint64_t version = 0;          // of this state at this attachment, from 1
  std::uint64_t base = 0;             // the version that the blocks change; 0: all blocks are here
  Sequence at = 0;                    // the last message whose effects are in it
  std::uint64_t size = 0;             // bytes of the whole state
  std::vector<std::uint32_t> blocks;  // indices, rising
  SharedBytes bytes;                  // the blocks, one after the other
};

// --- fixed end -> movable end
struct Attach {
  // An attachment that lived through a lost link goes on (resume), or a new one is made.
  bool resume = false;
  Sequence answered = 0;  // resume: all its answers up to here have come
};
struct Install {
  StateBlocks state;
  bool final = false;  // decode it: deliveries from state.at + 1 follow
};
struct Deliver {
  Sequence sequence = 0;
  std::uint32_t method = 0;  // index of the function in its module
  SharedBytes body;          // encoded arguments
  Sequence answered = 0;     // as in Acknowledge
};
// Of this attachment, all answers up to here have come: they need not be kept.
struct Acknowledge {
  Sequence answered = 0;
};
struct SnapshotWanted {
  std::uint64_t base = 0;  // the newest version that the fixed end has of this attachment, or 0
};
struct Detach {};

// --- movable end -> fixed end
struct Attached {
  bool known = false;     // resume: it is the one that lived
  Sequence received = 0;  // known: all messages up to here have come
};
struct Installed {
  std::uint64_t version = 0;
  bool final = false;
};
struct Answer {
  Sequence sequence = 0;
  std::optional<Error> error;  // trapped, deadline_exceeded, ...: no body, and no effect on a state
  SharedBytes body;            // encoded result
};
struct State {
  StateBlocks state;
  std::optional<Error> error{};  // there is no copy, and the attachment goes on
};
struct Lost {
  Error why;
};

struct EndMessage {
  Epoch epoch = 0;
  std::variant<Attach, Install, Deliver, Acknowledge, SnapshotWanted, Detach, Attached, Installed,
               Answer, State, Lost>
      content;
};

}  // namespace aloft::channel
