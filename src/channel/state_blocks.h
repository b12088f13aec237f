// States as blocks of 4 KB: what changed from one copy of a state to the next, so that a state is
// copied while its object serves, and only a little is left for the time in which it does not.
#pragma once

#include <cstdint>

#include "channel/end_message.h"
#include <aloft/result.h>

namespace aloft::channel {

// A state of more bytes cannot be carried: it is the body of one message.
inline constexpr std::uint64_t kMaxState = 0xffff'ffff;

// All of it; shares the bytes.
[[nodiscard]] StateBlocks whole_state(std::uint64_t version, Sequence at, SharedBytes state);

// What of `state` differs from `base`, which is known as `base_version` (not 0). Blocks between
// changed ones go along where there would be more than kMaxStateRuns runs; all blocks, with base 0,
// where nearly all changed.
[[nodiscard]] StateBlocks changed_blocks(std::uint64_t base_version, const Bytes& base,
                                         std::uint64_t version, Sequence at, SharedBytes state);

// The whole state. `base` is the one of version `blocks.base`, null for 0. Errors: protocol, for
// whatever does not fit together: it may come from a peer that lies. Takes no more memory than the
// size of `base` and of the bytes that came.
[[nodiscard]] Result<SharedBytes> apply_blocks(const StateBlocks& blocks, const SharedBytes& base);

}  // namespace aloft::channel
