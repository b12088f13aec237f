#include "channel/outbox.h"

#include <algorithm>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "channel/testing/recorder.h"
#include "wire/error_text.h"

namespace aloft::channel {
namespace {

using testing::bytes_of;
using testing::pattern;
using testing::text_of;
using wire::FrameHeader;
using wire::FrameType;

class OutboxTest : public ::testing::Test {
 protected:
  struct Frame {
    FrameHeader header;
    std::vector<std::byte> payload;
  };

  Result<std::uint64_t> push(StreamId stream, std::string_view head,
                             std::span<const std::byte> body = {}, std::uint64_t token = 0) {
    return outbox.push(
        {.stream = stream, .head = bytes_of(head), .body = {&body, 1}, .token = token});
  }
  // The kernel takes at most `limit` bytes of what is planned. Answers how many it took.
  std::size_t write(std::size_t limit) {
    std::size_t taken = 0;
    for (const iovec& segment : outbox.plan()) {
      const std::size_t size = std::min(segment.iov_len, limit - taken);
      const auto* data = static_cast<const std::byte*>(segment.iov_base);
      written.insert(written.end(), data, data + size);
      taken += size;
    }
    outbox.wrote(taken, done);
    return taken;
  }
  void write_all() {
    while (write(1 << 30) > 0) {
    }
  }
  // The frames of all that was written.
  std::vector<Frame> frames() {
    std::vector<Frame> all;
    std::span<const std::byte> rest(written);
    while (!rest.empty()) {
      const auto header = wire::unpack(rest.first<wire::kHeaderSize>());
      EXPECT_TRUE(header) << header.error().message;
      if (!header) break;
      const auto payload = rest.subspan(wire::kHeaderSize, header->length);
      all.push_back({*header, {payload.begin(), payload.end()}});
      rest = rest.subspan(wire::kHeaderSize + header->length);
    }
    return all;
  }

  static constexpr FrameHeader kCredit{.type = FrameType::credit, .stream = 9, .number = 5};

  Outbox outbox{CreditRule::not_required};
  std::vector<Outbox::Done> done;
  std::vector<std::byte> written;
};

TEST_F(OutboxTest, nothing_is_planned_where_nothing_waits) {
  EXPECT_TRUE(outbox.empty());
  EXPECT_TRUE(outbox.plan().empty());
}

TEST_F(OutboxTest, what_is_urgent_goes_before_what_is_normal_and_that_before_bulk) {
  const auto body = pattern(4 * kMaxFragment, 1);
  const auto push_as = [&](StreamId stream, std::uint8_t priority) {
    const std::span<const std::byte> whole(body);
    ASSERT_TRUE(
        outbox.push({.stream = stream, .head = {}, .body = {&whole, 1}, .priority = priority}));
  };
  push_as(5, kBulk);
  push_as(6, kNormal);
  push_as(7, kUrgent);
  push_as(8, kNormal);
  ASSERT_TRUE(push(kControlStream, "control"));
  write_all();
  std::vector<StreamId> order;
  for (const Frame& frame : frames()) order.push_back(frame.header.stream);
  EXPECT_EQ(order, (std::vector<StreamId>{0, 7, 7, 7, 7, 6, 8, 6, 8, 6, 8, 6, 8, 5, 5, 5, 5}));
}

TEST_F(OutboxTest, an_urgent_message_overtakes_a_frame_that_has_begun) {
  const auto body = pattern(4 * kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body));
  (void)write(1000);
  ASSERT_TRUE(outbox.push({.stream = 6, .head = bytes_of("now"), .body = {}, .priority = kUrgent}));
  write_all();
  const auto all = frames();
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[1].header.stream, 6U);
}

TEST_F(OutboxTest, a_stream_is_as_urgent_as_the_most_urgent_message_that_waits_on_it) {
  const auto body = pattern(2 * kMaxFragment, 1);
  const std::span<const std::byte> whole(body);
  ASSERT_TRUE(push(5, "", body));
  ASSERT_TRUE(outbox.push({.stream = 6, .head = {}, .body = {&whole, 1}, .priority = kBulk}));
  ASSERT_TRUE(outbox.push({.stream = 6, .head = {}, .body = {}, .priority = kUrgent}));
  ASSERT_TRUE(outbox.push({.stream = 6, .head = {}, .body = {&whole, 1}, .priority = kBulk}));
  write_all();
  std::vector<StreamId> order;
  for (const Frame& frame : frames()) order.push_back(frame.header.stream);
  EXPECT_EQ(order, (std::vector<StreamId>{6, 6, 6, 5, 5, 6, 6}));
}

TEST_F(OutboxTest, a_priority_that_is_none_is_urgent) {
  ASSERT_TRUE(push(5, "normal"));
  ASSERT_TRUE(outbox.push({.stream = 6, .head = bytes_of("x"), .body = {}, .priority = 255}));
  write_all();
  EXPECT_EQ(frames()[0].header.stream, 6U);
}

TEST_F(OutboxTest, without_room_only_what_is_urgent_is_planned) {
  const auto body = pattern(kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body));
  EXPECT_TRUE(outbox.plan({.bytes = 0, .fragment = 4096}).empty());
  ASSERT_TRUE(outbox.push({.stream = 6, .head = bytes_of("x"), .body = {}, .priority = kUrgent}));
  std::size_t planned = 0;
  for (const iovec& segment : outbox.plan({.bytes = 0, .fragment = 4096}))
    planned += segment.iov_len;
  EXPECT_EQ(planned, wire::kHeaderSize + 1);
  planned = 0;
  for (const iovec& segment : outbox.plan({.bytes = 8000, .fragment = 4096}))
    planned += segment.iov_len;
  EXPECT_EQ(planned, wire::kHeaderSize + 1 + 2 * (wire::kHeaderSize + 4096));
}

TEST_F(OutboxTest, streams_take_turns_fragment_by_fragment) {
  const auto body = pattern(4 * kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body, 50));
  ASSERT_TRUE(push(6, "", body, 60));
  ASSERT_TRUE(push(7, "small", pattern(0, 0), 70));
  write_all();
  std::vector<StreamId> order;
  for (const Frame& frame : frames()) order.push_back(frame.header.stream);
  EXPECT_EQ(order, (std::vector<StreamId>{5, 6, 7, 5, 6, 5, 6, 5, 6}));
  ASSERT_EQ(done.size(), 3U);
  EXPECT_EQ(done[0].token, 70U);
  EXPECT_EQ(done[1].token, 50U);
  EXPECT_TRUE(outbox.empty());
}

TEST_F(OutboxTest, turns_are_taken_whatever_the_kernel_takes_at_a_time) {
  const auto body = pattern(8 * kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body));
  ASSERT_TRUE(push(6, "", body));
  while (write(70'000) > 0) {
  }
  std::map<StreamId, int> sent;
  for (const Frame& frame : frames()) {
    ++sent[frame.header.stream];
    EXPECT_LE(std::abs(sent[5] - sent[6]), 1);
  }
}

TEST_F(OutboxTest, control_overtakes_all_but_the_fragment_under_way) {
  const auto body = pattern(3'000'000, 1);
  ASSERT_TRUE(push(5, "", body));
  write(20);
  ASSERT_TRUE(push(6, "other"));
  ASSERT_TRUE(push(kControlStream, "control"));
  ASSERT_TRUE(outbox.push_urgent(kCredit));
  write_all();
  const auto all = frames();
  EXPECT_EQ(all[0].header.stream, 5U);
  EXPECT_EQ(all[1].header, kCredit);
  EXPECT_EQ(text_of(all[2].payload), "control");
  EXPECT_LE(
      std::ranges::find_if(all, [](const Frame& f) { return f.header.stream == 6; }) - all.begin(),
      4);
}

TEST_F(OutboxTest, whatever_the_kernel_takes_the_bytes_are_the_same) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    written.clear();
    done.clear();
    std::vector<std::vector<std::byte>> bodies;
    std::map<StreamId, std::vector<std::byte>> expected;
    for (StreamId stream = 0; stream < 6; ++stream) {
      for (int i = 0; i < 3; ++i) {
        bodies.push_back(pattern(random() % 150'000, static_cast<unsigned>(random())));
        const auto& body = bodies.back();
        // Cut into pieces, of which some are empty.
        std::vector<std::span<const std::byte>> pieces;
        for (std::size_t at = 0; at < body.size();) {
          const std::size_t size = std::min<std::size_t>(random() % 40'000, body.size() - at);
          pieces.push_back(std::span(body).subspan(at, size));
          at += size;
        }
        const std::string head(random() % 300, 'h');
        ASSERT_TRUE(
            outbox.push({.stream = stream, .head = bytes_of(head), .body = pieces, .token = 1}));
        const auto head_bytes = bytes_of(head);
        expected[stream].insert(expected[stream].end(), head_bytes.begin(), head_bytes.end());
        expected[stream].insert(expected[stream].end(), body.begin(), body.end());
      }
    }
    while (write(1 + random() % (round % 2 == 0 ? 100'000 : 3'000)) > 0) {
      if (random() % 8 == 0) ASSERT_TRUE(outbox.push_urgent(kCredit));
    }
    std::map<StreamId, std::vector<std::byte>> got;
    for (const Frame& frame : frames()) {
      if (frame.header.type != FrameType::message) continue;
      auto& bytes = got[frame.header.stream];
      bytes.insert(bytes.end(), frame.payload.begin(), frame.payload.end());
    }
    EXPECT_TRUE(got == expected);
    EXPECT_EQ(done.size(), 18U);
    EXPECT_TRUE(outbox.empty());
  }
}

TEST_F(OutboxTest, a_dropped_message_leaves_zeros_in_its_fragment_and_nothing_after) {
  const auto body = pattern(200'000, 1);
  ASSERT_TRUE(push(5, "head", body, 50));
  ASSERT_TRUE(push(5, "behind", body, 51));
  write(1000);
  outbox.drop(5, {Errc::cancelled, "given up"}, done);
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].token, 50U);
  EXPECT_EQ(done[0].outcome.error().message, "given up");
  EXPECT_EQ(done[1].token, 51U);
  ASSERT_TRUE(push(5, "next", {}, 52));
  write_all();
  const auto all = frames();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(text_of(std::span(all[0].payload).first(4)), "head");
  EXPECT_TRUE(std::equal(body.begin(), body.begin() + 980, all[0].payload.begin() + 4));
  EXPECT_EQ(std::ranges::count(std::span(all[0].payload).subspan(984), std::byte{0}),
            std::ssize(all[0].payload) - 984);
  EXPECT_EQ(text_of(all[1].payload), "next");
  ASSERT_EQ(done.size(), 3U);
  EXPECT_TRUE(done[2].outcome);
  EXPECT_TRUE(outbox.empty());
}

TEST_F(OutboxTest, a_head_under_way_is_never_filled_up_with_zeros) {
  const auto body = pattern(200'000, 1);
  ASSERT_TRUE(push(5, "a head of its own", body, 50));
  write(wire::kHeaderSize + 3);
  outbox.drop(5, {Errc::cancelled, "given up"}, done);
  EXPECT_EQ(done.size(), 1U);
  write_all();
  const auto all = frames();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(text_of(std::span(all[0].payload).first(17)), "a head of its own");
  EXPECT_EQ(all[0].payload.back(), std::byte{0});
}

TEST_F(OutboxTest, a_last_fragment_under_way_is_not_dropped) {
  const auto body = pattern(1000, 1);
  ASSERT_TRUE(push(5, "head", body, 50));
  write(100);
  outbox.drop(5, {Errc::cancelled, "given up"}, done);
  EXPECT_TRUE(done.empty());
  write_all();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_TRUE(done[0].outcome);
  EXPECT_TRUE(std::equal(body.begin(), body.end(), frames()[0].payload.begin() + 4));
}

TEST_F(OutboxTest, a_message_dropped_between_fragments_ends_there) {
  const auto body = pattern(3 * kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body, 50));
  write(wire::kHeaderSize + kMaxFragment);
  outbox.drop(5, {Errc::cancelled, "given up"}, done);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_TRUE(outbox.empty());
  write_all();
  EXPECT_EQ(frames().size(), 1U);
}

TEST_F(OutboxTest, a_peer_drops_only_messages_that_it_has_seen_begin) {
  const auto body = pattern(3 * kMaxFragment, 1);
  ASSERT_TRUE(push(5, "", body, 50));
  outbox.drop_begun(5, 1, {Errc::cancelled, ""}, done);
  EXPECT_TRUE(done.empty()) << "it has not begun";
  write(wire::kHeaderSize + kMaxFragment);
  outbox.drop_begun(5, 0, {Errc::cancelled, ""}, done);
  EXPECT_TRUE(done.empty()) << "the peer meant an earlier one";
  outbox.drop_begun(6, 1, {Errc::cancelled, ""}, done);
  EXPECT_TRUE(done.empty()) << "another stream";
  outbox.drop_begun(5, 1, {Errc::cancelled, ""}, done);
  EXPECT_EQ(done.size(), 1U);
  EXPECT_TRUE(outbox.empty());
}

TEST_F(OutboxTest, a_dropped_message_that_had_not_begun_leaves_its_credit_in_its_place) {
  Outbox credited(CreditRule::required);
  ASSERT_TRUE(credited.add_credit(5, 1000));
  ASSERT_TRUE(credited.add_credit(5, 10));
  const auto body = pattern(5, 1);
  const std::span<const std::byte> piece(body);
  ASSERT_TRUE(credited.push({.stream = 5, .head = {}, .body = {&piece, 1}, .token = 1}));
  credited.drop(5, {Errc::cancelled, ""}, done);
  // The first credit is the oldest again: it goes first, and the small one is left.
  ASSERT_TRUE(credited.push({.stream = 5, .head = {}, .body = {&piece, 1}, .token = 2}));
  const auto large = pattern(100, 1);
  const std::span<const std::byte> large_piece(large);
  const auto refused =
      credited.push({.stream = 5, .head = {}, .body = {&large_piece, 1}, .token = 3});
  EXPECT_EQ(refused.error().code, Errc::resource_exhausted);
  EXPECT_EQ(refused.error().message, "a body of 100 bytes, the largest credit on stream 5 is 10");
}

TEST_F(OutboxTest, a_credit_comes_behind_the_last_byte_of_its_message) {
  const auto body = pattern(kMaxFragment + 100, 1);
  const std::span<const std::byte> whole(body);
  ASSERT_TRUE(
      outbox.push({.stream = 5, .head = bytes_of("h"), .body = {&whole, 1}, .then_grant = 77}));
  ASSERT_TRUE(push(5, "next"));
  while (write(1000) > 0) {
  }
  const auto all = frames();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[1].header.type, FrameType::message);
  EXPECT_EQ(all[2].header.type, FrameType::credit);
  EXPECT_EQ(all[2].header.stream, 5U);
  EXPECT_EQ(all[2].header.number, 77U);
  EXPECT_EQ(text_of(all[3].payload), "next");
  EXPECT_EQ(done.size(), 2U);
  EXPECT_TRUE(outbox.empty());
}

TEST_F(OutboxTest, a_message_is_done_with_the_credit_behind_it) {
  ASSERT_TRUE(outbox.push({.stream = 5, .head = bytes_of("h"), .body = {}, .then_grant = 77}));
  std::size_t size = 0;
  for (const iovec& segment : outbox.plan()) size += segment.iov_len;
  EXPECT_EQ(size, 2 * wire::kHeaderSize + 1);
  (void)write(size - 1);
  EXPECT_TRUE(done.empty());
  // What is under way overtakes nothing.
  ASSERT_TRUE(outbox.push_urgent(kCredit));
  write_all();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_FALSE(done[0].untold);
  const auto all = frames();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].header.number, 77U);
}

TEST_F(OutboxTest, a_dropped_message_says_which_credit_was_to_come_behind_it) {
  const auto body = pattern(3 * kMaxFragment, 1);
  const std::span<const std::byte> whole(body);
  ASSERT_TRUE(outbox.push({.stream = 5, .head = {}, .body = {&whole, 1}, .then_grant = 77}));
  ASSERT_TRUE(outbox.push({.stream = 5, .head = {}, .body = {&whole, 1}, .then_grant = 78}));
  (void)write(1000);
  outbox.drop(5, {Errc::cancelled, "enough"}, done);
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].untold, 77U);
  EXPECT_EQ(done[1].untold, 78U);
  write_all();
  for (const Frame& frame : frames()) EXPECT_EQ(frame.header.type, FrameType::message);
}

TEST_F(OutboxTest, messages_without_credit_are_bounded) {
  for (std::size_t i = 0; i < kMaxUnsentWithoutCredit; ++i) ASSERT_TRUE(push(kControlStream, "x"));
  EXPECT_EQ(push(kControlStream, "x").error().code, Errc::overloaded);
  write(1000);
  EXPECT_TRUE(push(kControlStream, "x"));
}

TEST_F(OutboxTest, urgent_frames_that_nobody_reads_are_bounded) {
  std::size_t frames = 0;
  while (outbox.push_urgent(kCredit)) ++frames;
  EXPECT_EQ(frames, kMaxUrgent / wire::kHeaderSize);
  EXPECT_EQ(outbox.push_urgent(kCredit).error().message, "the peer does not read what it is sent");
  write(1000);
  EXPECT_TRUE(outbox.push_urgent(kCredit));
}

TEST_F(OutboxTest, credits_that_a_peer_gives_are_bounded) {
  for (std::size_t i = 0; i < kMaxCreditsPerStream; ++i) ASSERT_TRUE(outbox.add_credit(5, 1));
  EXPECT_EQ(outbox.add_credit(5, 1).error().message,
            "credit frame: stream 5 has 64 unused credits already");
  for (StreamId stream = 6; stream < kMaxCreditStreams + 5; ++stream)
    ASSERT_TRUE(outbox.add_credit(stream, 1));
  EXPECT_EQ(outbox.add_credit(100'000, 1).error().code, Errc::protocol);
}

TEST_F(OutboxTest, all_is_given_up_with_the_link) {
  const auto body = pattern(300'000, 1);
  for (StreamId stream = 0; stream < 5; ++stream)
    ASSERT_TRUE(push(stream, "x", std::span(body).first(stream == 0 ? 10 : 300'000), stream));
  write(100'000);
  const std::size_t sent = done.size();
  outbox.drop_all({Errc::unreachable, "gone"}, done);
  EXPECT_EQ(done.size(), 5U);
  for (std::size_t i = sent; i < done.size(); ++i)
    EXPECT_EQ(done[i].outcome.error().message, "gone");
  EXPECT_TRUE(outbox.empty());
}

}  // namespace
}  // namespace aloft::channel
