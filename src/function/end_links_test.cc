// Who leaves an edge waits until no end has anything there: by the moment it happens, however it
// does.
#include "function/end_links.h"

#include <future>
#include <memory>

#include <gtest/gtest.h>

namespace aloft::function {
namespace {

using namespace std::chrono_literals;

class Nobody final : public EndPeer {
  void on_place_up(channel::PlaceIndex) override {}
  void on_place_down(channel::PlaceIndex) override {}
  void on_end_message(channel::PlaceIndex, channel::EndMessage) override {}
  void on_no_room(channel::PlaceIndex, channel::Epoch, const Error&) override {}
};

class EndLinksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(links_.add(kEnd, peer_, 0, {}), EndLinks::Place::down);
    hear({.epoch = 1, .content = channel::Attached{}}, {.stream = 10, .state_stream = 11});
  }
  // From the edge, of the end.
  void hear(channel::EndMessage message, EndStreams streams = {}) {
    const auto head = encode(
        EndHead{.end = kEnd, .message = std::move(message), .terms = {}, .streams = streams});
    ASSERT_TRUE(links_.on_message_begin(channel::kControlStream, head, 0));
    ASSERT_TRUE(links_.on_message_end(channel::kControlStream));
  }
  static auto after(std::chrono::milliseconds time) {
    return std::chrono::steady_clock::now() + time;
  }
  // Whether one who waits is told once `happens` has happened.
  template <class Event>
  bool ends_the_wait(Event happens) {
    EXPECT_FALSE(links_.wait_idle(after(1ms))) << "it is attached";
    auto waits = std::async(std::launch::async, [&] { return links_.wait_idle(after(60s)); });
    happens();
    return waits.get();
  }

  static constexpr EndId kEnd{std::byte{1}};
  const std::shared_ptr<EndPeer> peer_ = std::make_shared<Nobody>();
  EndLinks links_{1000};
};

TEST_F(EndLinksTest, a_link_that_is_lost_leaves_nothing_there) {
  EXPECT_TRUE(ends_the_wait([&] { links_.on_down(); }));
}

TEST_F(EndLinksTest, a_wait_that_is_stopped_ends_though_something_is_there) {
  std::stop_source stop;
  auto waits = std::async(std::launch::async,
                          [&] { return links_.wait_idle(after(60s), stop.get_token()); });
  stop.request_stop();
  ASSERT_EQ(waits.wait_for(30s), std::future_status::ready);
  EXPECT_FALSE(waits.get());
}

TEST_F(EndLinksTest, an_end_that_is_removed_has_nothing_there) {
  EXPECT_TRUE(ends_the_wait([&] { links_.remove(kEnd); }));
}

TEST_F(EndLinksTest, an_attachment_that_the_edge_has_lost_is_none) {
  EXPECT_TRUE(ends_the_wait([&] {
    hear({.epoch = 1, .content = channel::Lost{{Errc::unreachable, "the place is gone"}}});
  }));
}

TEST_F(EndLinksTest, an_older_epoch_that_is_lost_is_not_the_last_attachment) {
  hear({.epoch = 2, .content = channel::Attached{}}, {.stream = 12, .state_stream = 13});
  hear({.epoch = 1, .content = channel::Lost{{Errc::unreachable, "the place is gone"}}});
  EXPECT_TRUE(ends_the_wait([&] { links_.remove(kEnd); }));
}

}  // namespace
}  // namespace aloft::function
