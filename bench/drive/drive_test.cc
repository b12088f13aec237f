// A short form of `./dev bench drive`: not how long anything takes, but that the device goes where
// it should as its link changes, and that no frame is lost on the way. Each stretch lasts until the
// device has seen what it brings.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "drive/verdict.h"
#include "drive/world.h"
#include "test_paths.h"

namespace aloft::drive {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 60s;  // for a frame
constexpr std::size_t kMostFrames = 600;

class DriveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = World::what_is_missing()) GTEST_SKIP() << *missing;
    auto world = World::make(options_, link_);
    ASSERT_TRUE(world) << world.error().message;
    world_ = *std::move(world);
  }

  void set(const Link& link) {
    link_ = link;
    const auto set = world_->set(link);
    ASSERT_TRUE(set) << set.error().message;
  }
  // That so many frames in a row come, all of them such as `wanted` says.
  void expect_soon(std::string_view what, std::size_t in_a_row,
                   const std::function<bool(const Frame&)>& wanted) {
    std::size_t seen = 0;
    for (std::size_t i = 0; i < kMostFrames && seen < in_a_row; ++i) {
      auto frame = world_->next(kPatience);
      ASSERT_TRUE(frame) << what << world_->transcript();
      seen = wanted(*frame) ? seen + 1 : 0;
      frames_.push_back(*std::move(frame));
    }
    ASSERT_EQ(seen, in_a_row) << what << "; last: " << frames_.back().reason;
  }
  static bool decided_for_edge(const Frame& frame) {
    return frame.place == Place::edge && !frame.tries;
  }
  static bool is_here(const Frame& frame) { return frame.place == Place::here; }

  // Ends the device: all its frames have results, and each the one that its image has.
  void expect_nothing_lost() {
    auto last = world_->end();
    ASSERT_TRUE(last) << last.error().message;
    for (Frame& frame : *last) frames_.push_back(std::move(frame));
    const auto digests = digests_of_images(options_);
    ASSERT_TRUE(digests) << digests.error().message;
    const Account counted = account(frames_, *digests);
    EXPECT_EQ(counted.frames, frames_.size());
    EXPECT_EQ(counted.lost, 0U);
    EXPECT_EQ(counted.wrong, 0U);
  }

  const WorldOptions options_{.video = testing::video().string(),
                              .model = testing::source_dir() / "models/pedestrian.onnx",
                              .images = 8};
  Link link_;
  std::unique_ptr<World> world_;
  std::vector<Frame> frames_;
};

TEST_F(DriveTest, goes_to_the_edge_and_comes_back_as_its_link_changes_and_loses_no_frame) {
  expect_soon("a good link", 5, decided_for_edge);
  // A frame of 1.3 MB takes more than five seconds: more than here on the busiest machine.
  set({.bits_per_second = 2'000'000, .one_way = 25ms});
  expect_soon("a poor link", 4, is_here);
  set({.bits_per_second = 2'000'000, .one_way = 25ms, .carries = Carries::nothing});
  expect_soon("no link", 5, is_here);
  set({});
  expect_soon("a good link again", 5, decided_for_edge);
  expect_nothing_lost();
}

TEST_F(DriveTest, loses_no_frame_in_an_outage_and_uses_the_edge_again_after_it) {
  for (const Carries outage : {Carries::nothing, Carries::nothing_onwards}) {
    expect_soon("a good link", 3, decided_for_edge);
    set({.carries = outage});
    expect_soon("an outage", 5, is_here);
    set({});
  }
  expect_soon("a good link again", 3, decided_for_edge);
  expect_nothing_lost();
}

// --- The verdict itself

Frame frame_of(std::uint64_t number, Chooser chooser, std::chrono::milliseconds began,
               double latency_ms, Place place) {
  return {.number = number,
          .chooser = chooser,
          .began = Time(began),
          .latency_ms = latency_ms,
          .place = place};
}

TEST(Verdict, counts_frames_without_a_result_and_frames_with_a_wrong_one) {
  std::vector<Frame> frames;
  for (std::uint64_t i = 0; i < 6; ++i) {
    frames.push_back(frame_of(i, Chooser::policy, 0ms, 1, Place::here));
    frames.back().image = i % 2;
    frames.back().digest = i % 2 == 0 ? "a" : "b";
  }
  const std::vector<std::string> digests{"a", "b"};
  EXPECT_EQ(account(frames, digests).lost, 0U);
  frames[1].error = "the edge failed it";
  frames[3].digest = "a";
  frames.erase(frames.begin() + 2);
  const Account counted = account(frames, digests);
  EXPECT_EQ(counted.frames, 6U);
  EXPECT_EQ(counted.lost, 2U);
  EXPECT_EQ(counted.wrong, 1U);
}

TEST(Verdict, compares_the_policy_with_the_better_fixed_choice_of_each_stretch) {
  const std::vector<Frame> frames{frame_of(0, Chooser::policy, 0ms, 100, Place::here),
                                  frame_of(1, Chooser::policy, 100ms, 140, Place::edge),
                                  frame_of(2, Chooser::always_here, 300ms, 100, Place::here),
                                  frame_of(3, Chooser::always_edge, 400ms, 300, Place::edge),
                                  frame_of(4, Chooser::policy, 1000ms, 80, Place::edge)};
  const Choices made = choices(frames, {.name = "s", .begin = Time(0ms), .end = Time(1000ms)});
  EXPECT_EQ(made.frames, 2U);
  EXPECT_EQ(made.at_edge, 1U);
  EXPECT_DOUBLE_EQ(made.policy_ms, 120);
  EXPECT_DOUBLE_EQ(made.best_ms(), 100);
  EXPECT_DOUBLE_EQ(made.over_best(), 1.2);
}

TEST(Verdict, is_back_when_the_first_frame_from_the_edge_has_ended) {
  const std::vector<Frame> frames{frame_of(0, Chooser::policy, 0ms, 50, Place::edge),
                                  frame_of(1, Chooser::policy, 90ms, 300, Place::here),
                                  frame_of(2, Chooser::always_edge, 390ms, 100, Place::edge),
                                  frame_of(3, Chooser::policy, 500ms, 100, Place::edge)};
  EXPECT_EQ(way_back(frames, Time(100ms)), 500ms);
  EXPECT_EQ(way_back(frames, Time(700ms)), std::nullopt);
}

}  // namespace
}  // namespace aloft::drive
