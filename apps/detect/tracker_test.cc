#include "tracker.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/street.h"

namespace detect {
namespace {

using detect::testing::person;
using detect::testing::Street;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::uint64_t> identities(const std::vector<Track>& tracks) {
  std::vector<std::uint64_t> ids;
  ids.reserve(tracks.size());
  for (const Track& track : tracks) ids.push_back(track.id);
  return ids;
}

// The identity that a detection has in a frame; 0: none.
std::uint64_t identity_of(const std::vector<Track>& tracks, std::uint32_t detection) {
  const auto found = std::ranges::find(tracks, detection, &Track::detection);
  return found == tracks.end() ? 0 : found->id;
}

TEST(Tracker, gives_an_identity_to_who_is_seen_in_three_frames) {
  Tracker tracker;
  EXPECT_THAT(tracker.update({person(100)}), IsEmpty());
  EXPECT_THAT(tracker.update({person(103)}), IsEmpty());
  const auto tracks = tracker.update({person(106)});
  ASSERT_THAT(identities(tracks), ElementsAre(1));
  EXPECT_EQ(tracks[0].detection, 0U);
  EXPECT_EQ(tracks[0].score, 0.9F);
  EXPECT_NEAR(tracks[0].box.x, 106, 3);
  EXPECT_THAT(identities(tracker.update({person(109)})), ElementsAre(1));
}

TEST(Tracker, gives_none_to_what_flickers) {
  Tracker tracker;
  for (int frame = 0; frame < 20; ++frame) {
    EXPECT_THAT(tracker.update(frame % 3 == 2 ? std::vector<Detection>{}
                                              : std::vector<Detection>{person(100)}),
                IsEmpty());
  }
}

TEST(Tracker, follows_who_crosses) {
  Tracker tracker;
  std::vector<Track> tracks;
  // Two walk towards each other, one a little nearer, and change sides.
  for (int frame = 0; frame < 60; ++frame) {
    const float right = 100 + 4 * static_cast<float>(frame);
    const float left = 340 - 4 * static_cast<float>(frame);
    tracks = tracker.update({person(right), person(left, 108)});
    if (frame >= 2) {
      EXPECT_EQ(identity_of(tracks, 0), 1U) << "frame " << frame;
      EXPECT_EQ(identity_of(tracks, 1), 2U) << "frame " << frame;
    }
  }
}

TEST(Tracker, knows_who_was_hidden_behind_another_again) {
  Tracker tracker;
  std::vector<Track> tracks;
  for (int frame = 0; frame < 60; ++frame) {
    const float right = 100 + 4 * static_cast<float>(frame);
    const float left = 340 - 4 * static_cast<float>(frame);
    std::vector<Detection> seen{person(right)};
    // The other one walks behind: a detector sees one box while they overlap.
    if (std::abs(right - left) > 28) seen.push_back(person(left, 108));
    tracks = tracker.update(seen);
    if (frame < 2) continue;
    EXPECT_EQ(identity_of(tracks, 0), 1U) << "frame " << frame;
    if (seen.size() == 2) {
      EXPECT_EQ(identity_of(tracks, 1), 2U) << "frame " << frame;
    }
  }
}

TEST(Tracker, keeps_an_identity_over_an_occlusion_and_ends_it_after_a_longer_one) {
  Tracker tracker;
  float x = 50;
  const auto walk = [&](std::uint32_t frames, bool visible) {
    std::vector<Track> tracks;
    for (std::uint32_t frame = 0; frame < frames; ++frame, x += 2) {
      tracks = tracker.update(visible ? std::vector{person(x)} : std::vector<Detection>{});
    }
    return identities(tracks);
  };
  EXPECT_THAT(walk(20, true), ElementsAre(1));
  EXPECT_THAT(walk(kMissesToEnd, false), IsEmpty());
  EXPECT_THAT(walk(1, true), ElementsAre(1));
  EXPECT_THAT(walk(10, true), ElementsAre(1));
  EXPECT_THAT(walk(kMissesToEnd + 1, false), IsEmpty());
  EXPECT_THAT(walk(2, true), IsEmpty());
  // Whoever comes after that is somebody new.
  EXPECT_THAT(walk(1, true), ElementsAre(2));
}

TEST(Tracker, never_gives_an_identity_twice) {
  Tracker tracker;
  std::set<std::uint64_t> given;
  for (int somebody = 0; somebody < 40; ++somebody) {
    // Each appears elsewhere, after the one before has left.
    const float x = 100 + 400 * static_cast<float>(somebody % 3);
    std::vector<Track> tracks;
    for (int frame = 0; frame < 4; ++frame) tracks = tracker.update({person(x)});
    ASSERT_EQ(tracks.size(), 1U);
    EXPECT_TRUE(given.insert(tracks[0].id).second) << tracks[0].id;
    for (std::uint32_t frame = 0; frame <= kMissesToEnd; ++frame)
      EXPECT_THAT(tracker.update({}), IsEmpty());
  }
}

TEST(Tracker, does_not_mistake_one_class_for_another) {
  Tracker tracker;
  for (int frame = 0; frame < 5; ++frame) static_cast<void>(tracker.update({person(100)}));
  Detection dog = person(100);
  dog.class_id = 16;
  for (int frame = 0; frame < 2; ++frame) EXPECT_THAT(tracker.update({dog}), IsEmpty());
  EXPECT_THAT(identities(tracker.update({dog})), ElementsAre(2));
}

TEST(Tracker, leaves_out_boxes_that_are_none) {
  Tracker tracker;
  const float infinite = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Track> tracks;
  for (int frame = 0; frame < 4; ++frame) {
    tracks = tracker.update({person(0, 0, 0, 10), person(nan), person(infinite),
                             person(1, 1, infinite, 5), person(5, 5, 10, -1), person(200)});
  }
  ASSERT_THAT(identities(tracks), ElementsAre(1));
  EXPECT_EQ(tracks[0].detection, 5U);
}

TEST(Tracker, does_the_same_twice) {
  Street street(7);
  Tracker first;
  Tracker second;
  std::size_t most = 0;
  for (int frame = 0; frame < 400; ++frame) {
    const auto seen = street.next();
    const auto tracks = first.update(seen);
    ASSERT_EQ(tracks, second.update(seen)) << "frame " << frame;
    const auto ids = identities(tracks);
    EXPECT_TRUE(std::ranges::is_sorted(ids));
    EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
    for (const Track& track : tracks) EXPECT_LT(track.detection, seen.size());
    most = std::max(most, tracks.size());
  }
  EXPECT_GE(most, 6U);
}

}  // namespace
}  // namespace detect
