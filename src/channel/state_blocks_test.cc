#include "channel/state_blocks.h"

#include <random>

#include <gtest/gtest.h>

namespace aloft::channel {
namespace {

SharedBytes state_of(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return std::make_shared<const Bytes>(std::move(bytes));
}

SharedBytes changed_at(const SharedBytes& state, std::initializer_list<std::size_t> places) {
  auto changed = std::make_shared<Bytes>(*state);
  for (const std::size_t at : places) (*changed)[at] ^= std::byte{0xff};
  return changed;
}

void expect_there_and_back(const SharedBytes& base, const SharedBytes& state) {
  const StateBlocks blocks = changed_blocks(7, *base, 8, 3, state);
  EXPECT_EQ(blocks.version, 8U);
  EXPECT_EQ(blocks.at, 3U);
  const auto whole = apply_blocks(blocks, blocks.base == 0 ? nullptr : base);
  ASSERT_TRUE(whole.has_value()) << whole.error().message;
  EXPECT_EQ(**whole, *state);
}

TEST(StateBlocks, a_whole_state_shares_its_bytes) {
  const SharedBytes state = state_of(3 * kStateBlock + 5);
  const StateBlocks blocks = whole_state(1, 9, state);
  EXPECT_EQ(blocks.bytes, state);
  EXPECT_EQ(blocks.blocks, (std::vector<std::uint32_t>{0, 1, 2, 3}));
  const auto back = apply_blocks(blocks, nullptr);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, state);
}

TEST(StateBlocks, only_changed_blocks_are_carried) {
  const SharedBytes base = state_of(10 * kStateBlock + 100);
  const SharedBytes state = changed_at(base, {0, 4 * kStateBlock, 10 * kStateBlock + 99});
  const StateBlocks blocks = changed_blocks(1, *base, 2, 0, state);
  EXPECT_EQ(blocks.blocks, (std::vector<std::uint32_t>{0, 4, 10}));
  EXPECT_EQ(blocks.bytes->size(), 2 * kStateBlock + 100);
  expect_there_and_back(base, state);
}

TEST(StateBlocks, an_unchanged_state_carries_nothing) {
  const SharedBytes base = state_of(5000);
  const StateBlocks blocks = changed_blocks(1, *base, 2, 0, std::make_shared<const Bytes>(*base));
  EXPECT_TRUE(blocks.blocks.empty());
  EXPECT_EQ(blocks.base, 1U);
  expect_there_and_back(base, base);
}

TEST(StateBlocks, states_grow_and_shrink) {
  for (const std::size_t before : {0U, 1U, 4095U, 4096U, 4097U, 12288U, 20000U}) {
    for (const std::size_t after : {0U, 1U, 4095U, 4096U, 4097U, 12288U, 20000U}) {
      SCOPED_TRACE(std::to_string(before) + " to " + std::to_string(after));
      const SharedBytes base = state_of(before);
      expect_there_and_back(base, state_of(after));  // the same beginning
      expect_there_and_back(base, state_of(after, 2));
    }
  }
}

TEST(StateBlocks, many_runs_are_joined_so_that_a_head_holds_them) {
  const auto base = std::make_shared<const Bytes>(4 * kMaxStateRuns * kStateBlock);
  auto state = std::make_shared<Bytes>(*base);
  for (std::size_t block = 0; block < 4 * kMaxStateRuns; block += 3)
    (*state)[block * kStateBlock] ^= std::byte{1};
  const StateBlocks blocks = changed_blocks(1, *base, 2, 0, state);
  std::size_t runs = 0;
  for (std::size_t i = 0; i < blocks.blocks.size(); ++i)
    runs += i == 0 || blocks.blocks[i] != blocks.blocks[i - 1] + 1;
  EXPECT_LE(runs, kMaxStateRuns);
  expect_there_and_back(base, state);
}

TEST(StateBlocks, what_does_not_fit_together_is_refused) {
  const SharedBytes base = state_of(3 * kStateBlock);
  const SharedBytes grown = state_of(5 * kStateBlock);
  const StateBlocks good = changed_blocks(1, *base, 2, 0, grown);
  ASSERT_TRUE(apply_blocks(good, base).has_value());
  const auto refused = [&](auto change, const SharedBytes& on) {
    StateBlocks bad = good;
    change(bad);
    const auto applied = apply_blocks(bad, on);
    ASSERT_FALSE(applied.has_value());
    EXPECT_EQ(applied.error().code, Errc::protocol);
  };
  refused([](StateBlocks&) {}, nullptr);
  refused([](StateBlocks& state) { state.base = 0; }, base);
  refused([](StateBlocks& state) { state.bytes = nullptr; }, base);
  refused([](StateBlocks& state) { state.blocks.push_back(1); }, base);
  refused([](StateBlocks& state) { state.blocks.back() = 99; }, base);
  refused([](StateBlocks& state) { std::swap(state.blocks[0], state.blocks[1]); }, base);
  refused([](StateBlocks& state) { state.blocks = {0, 1}; }, base);  // not what the base lacks
  refused([](StateBlocks& state) { state.size = kMaxState + 1; }, base);
  refused([](StateBlocks& state) { state.size = kMaxState; }, base);
  refused([](StateBlocks& state) { state.size = 0; }, base);
  refused([](StateBlocks& state) { state.bytes = state_of(2 * kStateBlock - 1); }, base);
}

}  // namespace
}  // namespace aloft::channel
