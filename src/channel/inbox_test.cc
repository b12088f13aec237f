#include "channel/inbox.h"

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>

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
using wire::Part;

class InboxTest : public ::testing::Test, public Inbox::Sink {
 protected:
  struct Message {
    StreamId stream;
    std::string head;
    std::vector<std::byte> body;
  };

  Result<void> spend_credit(StreamId stream, std::uint64_t) override {
    if (stream == no_credit_on) return fail(Errc::protocol, "no credit");
    return {};
  }
  Result<std::span<std::byte>> message_begin(StreamId stream, std::span<const std::byte> head,
                                             std::uint64_t size) override {
    log.push_back("begin " + std::to_string(stream));
    if (stream == refused) return fail(Errc::resource_exhausted, "refused");
    under_way[stream] = {stream, text_of(head), std::vector<std::byte>(size)};
    return under_way[stream].body;
  }
  void message_end(StreamId stream) override {
    log.push_back("end " + std::to_string(stream));
    messages.push_back(std::move(under_way[stream]));
    under_way.erase(stream);
    if (stream == stop_at_end_of) inbox->stop();
  }
  void message_abandoned(StreamId stream, const Error& why) override {
    log.push_back("abandoned " + std::to_string(stream) + " " + why.message);
    under_way.erase(stream);
  }
  Result<void> got_credit(StreamId stream, std::uint32_t capacity) override {
    log.push_back("credit " + std::to_string(stream) + " " + std::to_string(capacity));
    return {};
  }
  void got_reset(StreamId stream, std::uint32_t seen, const Error& why) override {
    log.push_back("reset " + std::to_string(stream) + " " + std::to_string(seen) + " " +
                  why.message);
  }
  void got_ping(std::span<const std::byte, wire::kPingSize>) override { log.push_back("ping"); }
  void got_pong(std::span<const std::byte, wire::kPingSize>) override { log.push_back("pong"); }
  void got_close(const Error& why) override { log.push_back("close " + why.message); }

  static void append(std::vector<std::byte>& bytes, const FrameHeader& header,
                     std::span<const std::byte> payload = {}) {
    const auto packed = wire::pack(header);
    bytes.insert(bytes.end(), packed.begin(), packed.end());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
  }
  static std::vector<std::byte> frame(const FrameHeader& header,
                                      std::span<const std::byte> payload = {}) {
    std::vector<std::byte> bytes;
    append(bytes, header, payload);
    return bytes;
  }
  static std::vector<std::byte> first(StreamId stream, std::uint32_t body_size, std::size_t here) {
    return frame(
        {FrameType::message, Part::first, 0, stream, static_cast<std::uint32_t>(here), body_size},
        pattern(here, 1));
  }

  // Gives the bytes to the inbox as a socket would, at most `limit` of them in one read.
  Result<void> feed(std::span<const std::byte> bytes, std::size_t limit = 1 << 30) {
    while (!bytes.empty()) {
      std::size_t taken = 0;
      const std::size_t most = std::min(limit, bytes.size());
      for (const iovec& place : inbox->where()) {
        const std::size_t size = std::min(place.iov_len, most - taken);
        if (size > 0) std::memcpy(place.iov_base, bytes.data() + taken, size);
        taken += size;
      }
      bytes = bytes.subspan(taken);
      if (auto ok = inbox->received(taken); !ok) return ok;
    }
    return {};
  }
  std::string complaint(std::span<const std::byte> bytes) {
    const auto ok = feed(bytes);
    if (ok) return "accepted";
    EXPECT_EQ(ok.error().code, Errc::protocol);
    return ok.error().message;
  }

  // As after a new handshake.
  void fresh(CreditRule rule = CreditRule::required) {
    inbox = std::make_unique<Inbox>(rule, 10_MiB, *this);
    under_way.clear();
    log.clear();
  }

  std::unique_ptr<Inbox> inbox = std::make_unique<Inbox>(CreditRule::required, 10_MiB, *this);
  std::vector<std::string> log;
  std::vector<Message> messages;
  std::map<StreamId, Message> under_way;
  StreamId refused = 999;
  StreamId no_credit_on = 998;
  StreamId stop_at_end_of = 997;
};

TEST_F(InboxTest, frames_are_understood_however_the_bytes_come) {
  std::vector<std::byte> bytes;
  const auto body = pattern(150'000, 1);
  append(bytes, {FrameType::message, Part::first, 4, 5, 65536, 150'000}, [&] {
    auto p = pattern(4, 9);
    p.insert(p.end(), body.begin(), body.begin() + 65532);
    return p;
  }());
  append(bytes, {.type = FrameType::credit, .stream = 6, .number = 77});
  append(bytes, {FrameType::message, Part::whole, 3, 0, 3, 0}, bytes_of("ctl"));
  append(bytes, {FrameType::message, Part::middle, 0, 5, 65536, 0},
         std::span(body).subspan(65532, 65536));
  append(bytes, {.type = FrameType::ping, .length = 8}, pattern(8, 1));
  append(bytes, {FrameType::message, Part::last, 0, 5, 150'000 - 65532 - 65536, 0},
         std::span(body).subspan(65532 + 65536));
  append(bytes, {.type = FrameType::reset, .stream = 7, .length = 5, .number = 2},
         wire::pack_error({Errc::cancelled, "bye"}));
  append(bytes, {.type = FrameType::close, .length = 5},
         wire::pack_error({Errc::unreachable, "end"}));

  for (const std::size_t limit : {std::size_t{1} << 30, std::size_t{1}, std::size_t{7},
                                  std::size_t{16}, std::size_t{4096}, std::size_t{65552}}) {
    log.clear();
    messages.clear();
    ASSERT_TRUE(feed(bytes, limit));
    EXPECT_EQ(log, (std::vector<std::string>{"begin 5", "credit 6 77", "begin 0", "end 0", "ping",
                                             "end 5", "reset 7 2 bye", "close end"}))
        << limit;
    ASSERT_EQ(messages.size(), 2U);
    EXPECT_EQ(messages[0].head, "ctl");
    EXPECT_TRUE(messages[1].body == body) << limit;
  }
}

TEST_F(InboxTest, a_body_goes_straight_to_its_place_and_takes_only_the_next_header_along) {
  ASSERT_TRUE(feed(frame({FrameType::message, Part::first, 4, 5, 4, 200'000}, bytes_of("head"))));
  ASSERT_TRUE(feed(frame({FrameType::message, Part::middle, 0, 5, 65536, 0})));
  const auto places = inbox->where();
  ASSERT_EQ(places.size(), 2U);
  EXPECT_EQ(places[0].iov_base, under_way[5].body.data());
  EXPECT_EQ(places[0].iov_len, 65536U);
  EXPECT_EQ(places[1].iov_len, wire::kHeaderSize);
}

TEST_F(InboxTest, what_does_not_fit_the_frames_before_is_a_protocol_error_that_says_what) {
  EXPECT_EQ(complaint(frame({FrameType::message, Part::middle, 0, 5, 9, 0}, pattern(9, 1))),
            "message frame on stream 5: flags lack `first` and no message is under way");

  fresh();
  ASSERT_TRUE(feed(first(5, 100, 40)));
  EXPECT_EQ(complaint(first(5, 100, 40)),
            "message frame on stream 5: flags have `first`, and a message is under way");

  fresh();
  ASSERT_TRUE(feed(first(5, 100, 40)));
  EXPECT_EQ(complaint(frame({FrameType::message, Part::last, 0, 5, 61, 0}, pattern(61, 1))),
            "message frame on stream 5: length goes 1 bytes beyond the message's body");

  fresh();
  ASSERT_TRUE(feed(first(5, 100, 40)));
  EXPECT_EQ(complaint(frame({FrameType::message, Part::last, 0, 5, 59, 0}, pattern(59, 1))),
            "message frame on stream 5: flags and length differ about whether the message ends");

  fresh();
  ASSERT_TRUE(feed(first(5, 100, 40)));
  EXPECT_EQ(complaint(frame({FrameType::message, Part::middle, 0, 5, 60, 0}, pattern(60, 1))),
            "message frame on stream 5: flags and length differ about whether the message ends");

  fresh();
  EXPECT_EQ(complaint(first(no_credit_on, 10, 5)), "no credit");

  fresh(CreditRule::not_required);
  EXPECT_EQ(complaint(first(5, 10'485'761, 5)),
            "message frame on stream 5: number is a body of 10485761 bytes, at most 10485760 are "
            "allowed");

  fresh(CreditRule::not_required);
  EXPECT_EQ(
      complaint(first(kControlStream, 262'145, 5)),
      "message frame on stream 0: number is a body of 262145 bytes, at most 262144 are allowed");

  fresh();
  EXPECT_EQ(complaint(frame({.type = FrameType::reset, .stream = 7, .length = 2}, pattern(0, 0))),
            "accepted")
      << "its payload is still to come";
  EXPECT_EQ(complaint(std::vector<std::byte>(2)), "reset frame: error: code is 0");
}

TEST_F(InboxTest, unfinished_messages_are_bounded) {
  fresh(CreditRule::not_required);
  for (StreamId stream = 1; stream <= kMaxUnfinished; ++stream)
    ASSERT_TRUE(feed(first(stream, 10, 5)));
  EXPECT_EQ(complaint(first(5000, 10, 5)),
            "message frame on stream 5000: 1024 other messages are under way already");
}

TEST_F(InboxTest, a_refused_message_is_dropped_and_others_go_on) {
  refused = 5;
  std::vector<std::byte> bytes = first(5, 60'000, 40'000);
  append(bytes, {FrameType::message, Part::whole, 1, 6, 1, 0}, bytes_of("x"));
  append(bytes, {FrameType::message, Part::last, 0, 5, 20'000, 0}, pattern(20'000, 1));
  append(bytes, {FrameType::message, Part::whole, 1, 7, 1, 0}, bytes_of("y"));
  ASSERT_TRUE(feed(bytes));
  EXPECT_EQ(log, (std::vector<std::string>{"begin 5", "begin 6", "end 6", "begin 7", "end 7"}));
}

TEST_F(InboxTest, a_message_that_is_given_up_writes_nothing_any_more) {
  ASSERT_TRUE(feed(first(5, 60'000, 20'000)));
  std::vector<std::byte> memory = std::move(under_way[5].body);
  const auto before = memory;
  inbox->give_up(5, inbox->seen(), {Errc::cancelled, "enough"});
  EXPECT_EQ(log.back(), "abandoned 5 enough");
  ASSERT_TRUE(feed(frame({FrameType::message, Part::last, 0, 5, 40'000, 0}, pattern(40'000, 9))));
  EXPECT_TRUE(memory == before);
  EXPECT_EQ(log.back(), "abandoned 5 enough");
  ASSERT_TRUE(feed(frame({FrameType::message, Part::whole, 1, 5, 1, 0}, bytes_of("x"))));
  EXPECT_EQ(messages.back().head, "x");
}

TEST_F(InboxTest, after_a_message_was_given_up_the_next_one_may_follow_without_its_rest) {
  ASSERT_TRUE(feed(first(5, 60'000, 20'000)));
  inbox->give_up(5, inbox->seen(), {Errc::cancelled, "enough"});
  ASSERT_TRUE(feed(frame({FrameType::message, Part::whole, 1, 5, 1, 0}, bytes_of("x"))));
  EXPECT_EQ(messages.back().head, "x");
}

TEST_F(InboxTest, a_message_that_began_after_the_reset_is_not_given_up) {
  const std::uint32_t seen = inbox->seen();
  ASSERT_TRUE(feed(first(5, 100, 40)));
  inbox->give_up(5, seen, {Errc::cancelled, "an earlier one"});
  EXPECT_EQ(log, std::vector<std::string>{"begin 5"});
}

TEST_F(InboxTest, a_peer_that_resets_ends_its_message) {
  ASSERT_TRUE(feed(first(5, 100, 40)));
  ASSERT_TRUE(feed(frame({.type = FrameType::reset, .stream = 5, .length = 5, .number = 0},
                         wire::pack_error({Errc::cancelled, "bye"}))));
  EXPECT_EQ(log, (std::vector<std::string>{"begin 5", "abandoned 5 bye", "reset 5 0 bye"}));
  EXPECT_EQ(complaint(frame({FrameType::message, Part::last, 0, 5, 60, 0}, pattern(60, 1))),
            "message frame on stream 5: flags lack `first` and no message is under way");
}

TEST_F(InboxTest, all_is_given_up_with_the_link) {
  ASSERT_TRUE(feed(first(5, 100, 40)));
  ASSERT_TRUE(feed(first(6, 100, 40)));
  inbox->give_up_all({Errc::unreachable, "gone"});
  EXPECT_EQ(log, (std::vector<std::string>{"begin 5", "begin 6", "abandoned 5 gone",
                                           "abandoned 6 gone"}));
}

TEST_F(InboxTest, an_inbox_that_is_stopped_from_a_call_says_nothing_more) {
  stop_at_end_of = 6;
  std::vector<std::byte> bytes;
  append(bytes, {FrameType::message, Part::whole, 1, 6, 1, 0}, bytes_of("x"));
  append(bytes, {FrameType::message, Part::whole, 1, 7, 1, 0}, bytes_of("y"));
  ASSERT_TRUE(feed(bytes));
  EXPECT_EQ(log, (std::vector<std::string>{"begin 6", "end 6"}));
}

TEST_F(InboxTest, what_is_given_up_after_it_was_stopped_is_told_to_nobody) {
  stop_at_end_of = 6;
  ASSERT_TRUE(feed(first(5, 100, 40)));
  ASSERT_TRUE(feed(frame({FrameType::message, Part::whole, 1, 6, 1, 0}, bytes_of("x"))));
  inbox->give_up(5, inbox->seen(), {Errc::cancelled, "enough"});
  inbox->give_up_all({Errc::unreachable, "gone"});
  EXPECT_EQ(log, (std::vector<std::string>{"begin 5", "begin 6", "end 6"}));
}

TEST_F(InboxTest, random_bytes_are_refused_without_harm) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    fresh(round % 2 == 0 ? CreditRule::required : CreditRule::not_required);
    std::vector<std::byte> bytes(random() % 400);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    (void)feed(bytes, 1 + random() % 100);
  }
}

TEST_F(InboxTest, valid_frames_with_a_few_bytes_changed_do_no_harm) {
  std::mt19937 random(4);
  int errors = 0;
  for (int round = 0; round < 3000; ++round) {
    fresh(CreditRule::not_required);
    std::vector<std::byte> bytes;
    for (int i = 0; i < 10; ++i) {
      const auto stream = static_cast<StreamId>(random() % 4);
      switch (random() % 4) {
        case 0:
          append(bytes, {FrameType::message, Part::whole, 3, stream, 50, 47}, pattern(50, 1));
          break;
        case 1:
          append(bytes, {FrameType::message, Part::first, 3, stream, 50, 99}, pattern(50, 1));
          append(bytes, {FrameType::message, Part::last, 0, stream, 52, 0}, pattern(52, 1));
          break;
        case 2:
          append(bytes, {.type = FrameType::credit, .stream = stream + 1, .number = 5});
          break;
        default:
          append(bytes, {.type = FrameType::reset, .stream = stream + 1, .length = 5},
                 wire::pack_error({Errc::cancelled, "bye"}));
          break;
      }
    }
    for (unsigned i = 0; i < 1 + random() % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    if (!feed(bytes, 1 + random() % 200)) ++errors;
  }
  EXPECT_GT(errors, 100);
}

}  // namespace
}  // namespace aloft::channel
