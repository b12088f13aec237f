#include "place_plan.h"

#include <vector>

#include <gtest/gtest.h>

namespace detect {
namespace {

using aloft::Place;

std::vector<std::uint64_t> block_beginnings(const PlacePlan& plan, std::uint64_t frames,
                                            std::uint64_t block) {
  std::vector<std::uint64_t> beginnings;
  for (std::uint64_t frame = 0; frame < frames; ++frame) {
    if (plan.begins_block(frame, block)) beginnings.push_back(frame);
  }
  return beginnings;
}

TEST(PlacePlan, switching_begins_on_the_device) {
  const PlacePlan plan(PlaceMode::switching, 50, 600);
  EXPECT_EQ(plan.place(0), Place::here);
  EXPECT_EQ(plan.place(49), Place::here);
  EXPECT_EQ(plan.place(50), Place::edge);
  EXPECT_EQ(plan.place(99), Place::edge);
  EXPECT_EQ(plan.place(100), Place::here);
}

TEST(PlacePlan, every_span_at_the_edge_holds_the_blocks_that_fit) {
  EXPECT_EQ(block_beginnings({PlaceMode::switching, 50, 600}, 600, 40),
            (std::vector<std::uint64_t>{50, 150, 250, 350, 450, 550}));
  EXPECT_EQ(block_beginnings({PlaceMode::switching, 90, 180}, 180, 40),
            (std::vector<std::uint64_t>{90, 130}));
  EXPECT_TRUE(block_beginnings({PlaceMode::switching, 39, 600}, 600, 40).empty());
}

TEST(PlacePlan, a_remote_run_is_all_blocks_and_a_local_one_none) {
  EXPECT_EQ(block_beginnings({PlaceMode::remote, 50, 130}, 130, 40),
            (std::vector<std::uint64_t>{0, 40, 80}));
  EXPECT_TRUE(block_beginnings({PlaceMode::local, 50, 130}, 130, 40).empty());
}

TEST(PlacePlan, every_block_that_begins_ends) {
  const PlacePlan plan(PlaceMode::switching, 50, 175);  // the last span is cut short
  std::vector<std::uint64_t> ends;
  for (std::uint64_t frame = 0; frame < 175; ++frame) {
    if (plan.ends_block(frame, 40)) ends.push_back(frame);
  }
  EXPECT_EQ(ends, std::vector<std::uint64_t>{89});
  EXPECT_EQ(block_beginnings(plan, 175, 40), std::vector<std::uint64_t>{50});
}

}  // namespace
}  // namespace detect
