#include "channel/state_blocks.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/mutation.h"

namespace aloft::channel {
namespace {

std::size_t block_count(std::uint64_t size) {
  return static_cast<std::size_t>((size + kStateBlock - 1) / kStateBlock);
}

// Of the block `index` in a state of `size` bytes.
std::size_t block_size(std::uint32_t index, std::uint64_t size) {
  const std::uint64_t begin = std::uint64_t{index} * kStateBlock;
  return static_cast<std::size_t>(std::min<std::uint64_t>(kStateBlock, size - begin));
}

bool differs(const Bytes& base, const Bytes& state, std::uint32_t index) {
  const std::size_t begin = std::size_t{index} * kStateBlock;
  const std::size_t size = block_size(index, state.size());
  return begin + size > base.size() || std::memcmp(&base[begin], &state[begin], size) != 0;
}

std::size_t runs_in(const std::vector<std::uint32_t>& blocks) {
  std::size_t runs = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) runs += i == 0 || blocks[i] != blocks[i - 1] + 1;
  return runs;
}

// The blocks, with those in gaps of at most `gap` blocks between two of them.
std::vector<std::uint32_t> with_gaps(const std::vector<std::uint32_t>& blocks, std::uint32_t gap) {
  std::vector<std::uint32_t> all;
  for (const std::uint32_t block : blocks) {
    if (!all.empty() && block - all.back() - 1 <= gap) {
      for (std::uint32_t between = all.back() + 1; between < block; ++between)
        all.push_back(between);
    }
    all.push_back(block);
  }
  return all;
}

}  // namespace

StateBlocks whole_state(std::uint64_t version, Sequence at, SharedBytes state) {
  StateBlocks blocks{
      .version = version, .base = 0, .at = at, .size = state->size(), .blocks = {}, .bytes = {}};
  blocks.blocks.resize(block_count(blocks.size));
  std::iota(blocks.blocks.begin(), blocks.blocks.end(), 0U);
  blocks.bytes = std::move(state);
  return blocks;
}

StateBlocks changed_blocks(std::uint64_t base_version, const Bytes& base, std::uint64_t version,
                           Sequence at, SharedBytes state) {
  const std::size_t count = block_count(state->size());
  std::vector<std::uint32_t> changed;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (differs(base, *state, i)) changed.push_back(i);
  }
  if (mutated("lose_last_block") && !changed.empty() &&
      (state->size() <= base.size() ||
       (std::size_t{changed.back()} + 1) * kStateBlock <= base.size())) {
    changed.pop_back();
  }
  for (std::uint32_t gap = 1; runs_in(changed) > kMaxStateRuns; gap *= 2)
    changed = with_gaps(changed, gap);
  if (changed.size() == count) return whole_state(version, at, std::move(state));
  auto bytes = std::make_shared<Bytes>();
  bytes->reserve(changed.size() * kStateBlock);
  for (const std::uint32_t block : changed) {
    const auto begin = state->begin() + static_cast<std::ptrdiff_t>(block * kStateBlock);
    bytes->insert(bytes->end(), begin,
                  begin + static_cast<std::ptrdiff_t>(block_size(block, state->size())));
  }
  return {.version = version,
          .base = base_version,
          .at = at,
          .size = state->size(),
          .blocks = std::move(changed),
          .bytes = std::move(bytes)};
}

Result<SharedBytes> apply_blocks(const StateBlocks& blocks, const SharedBytes& base) {
  if (blocks.bytes == nullptr) return fail(Errc::protocol, "a state without its bytes");
  if (blocks.size > kMaxState) return fail(Errc::protocol, "a state that is too large");
  if ((blocks.base == 0) != (base == nullptr))
    return fail(Errc::protocol, "changes of a state that is not there");
  const std::size_t count = block_count(blocks.size);
  const std::uint64_t base_size = base == nullptr ? 0 : base->size();
  // Blocks from here on are not, or not wholly, in the base: all of them have to come.
  const std::size_t known =
      blocks.size <= base_size ? count : static_cast<std::size_t>(base_size / kStateBlock);
  std::uint64_t bytes = 0;
  std::size_t fresh = 0;
  for (std::size_t i = 0; i < blocks.blocks.size(); ++i) {
    const std::uint32_t block = blocks.blocks[i];
    if (block >= count || (i > 0 && block <= blocks.blocks[i - 1]))
      return fail(Errc::protocol, "blocks of a state that are out of order");
    bytes += block_size(block, blocks.size);
    if (block >= known) ++fresh;
  }
  if (bytes != blocks.bytes->size() || fresh != count - known)
    return fail(Errc::protocol, "blocks of a state that do not make it whole");
  if (blocks.blocks.size() == count) return blocks.bytes;

  auto state = std::make_shared<Bytes>();
  state->reserve(static_cast<std::size_t>(blocks.size));
  const std::size_t kept = static_cast<std::size_t>(std::min(blocks.size, base_size));
  state->assign(base->begin(), base->begin() + static_cast<std::ptrdiff_t>(kept));
  state->resize(static_cast<std::size_t>(blocks.size));
  std::size_t from = 0;
  for (const std::uint32_t block : blocks.blocks) {
    const std::size_t size = block_size(block, blocks.size);
    std::copy_n(blocks.bytes->begin() + static_cast<std::ptrdiff_t>(from), size,
                state->begin() + static_cast<std::ptrdiff_t>(std::size_t{block} * kStateBlock));
    from += size;
  }
  return SharedBytes(std::move(state));
}

}  // namespace aloft::channel
