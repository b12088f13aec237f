// The faults that can be planted in the protocol of elastic channels (base/mutation.h), for the
// simulation to find. Each is a mistake that somebody could make there.
#pragma once

#include <array>
#include <string_view>

namespace aloft {

struct Mutation {
  std::string_view name;
  std::string_view meaning;
};

inline constexpr auto kMutations = std::to_array<Mutation>({
    // fixed end
    {"skip_ack_trim", "an answered message leaves the log before a checkpoint covers it"},
    {"deliver_out_of_order", "two messages that wait change places"},
    {"tell_answer_twice", "an answer of a replayed message is told again"},
    {"latest_drops_newest", "the new message is dropped where the one that waits should be"},
    {"early_checkpoint", "a copy of the state counts before the answers that are in it came"},
    {"replay_from_checkpoint_off_by_one", "the first message after the checkpoint is not replayed"},
    {"trap_replayed", "a message that failed, and so changed nothing, is replayed"},
    {"repeat_effects", "what has effects is delivered again after its place was lost"},
    {"resume_without_check", "what the resumed end says it received is not looked at"},
    {"forget_resend", "what the resumed end did not receive is not delivered again"},
    {"move_before_drain", "the last copy is taken while home still answers"},
    {"move_before_snapshot", "the destination gets the copy that is there, not the last one"},
    {"take_any_copy", "a copy on its way for a checkpoint is taken for the last one of a move"},
    {"drop_waiting_on_move", "what waited while nothing served is forgotten"},
    // movable end
    {"forget_duplicate", "a message that is delivered twice runs twice"},
    {"forget_cached_answer", "answers that were lost with a link are not repeated"},
    {"forget_too_much", "an acknowledgement also drops the answer after the last one it means"},
    // both
    {"apply_stale_delta", "changes are told against another copy than the peer has"},
    {"lose_last_block", "the last block that changed is left out"},
});

}  // namespace aloft
