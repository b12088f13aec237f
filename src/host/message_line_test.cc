#include "host/process/message_line.h"

#include <future>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/infer_line.h"
#include "host/tenant_link.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;

class MessageLineTest : public ::testing::Test {
 protected:
  wire::SocketPair sockets_ = wire::make_packet_sockets().value();
  TenantLink here_{std::move(sockets_.one)};
  std::optional<TenantLink> there_{std::move(sockets_.other)};
};

TEST_F(MessageLineTest, a_message_arrives_with_the_descriptor_beside_it) {
  ASSERT_TRUE(here_.send(BelongTo{"acme"}));
  ASSERT_TRUE(here_.send(Inference{}, STDERR_FILENO));
  const auto first = there_->receive();
  ASSERT_TRUE(first);
  EXPECT_EQ(std::get<BelongTo>(first->message).tenant, "acme");
  EXPECT_FALSE(first->descriptor);
  const auto second = there_->receive();
  ASSERT_TRUE(second);
  EXPECT_TRUE(std::holds_alternative<Inference>(second->message));
  EXPECT_TRUE(second->descriptor);
}

TEST_F(MessageLineTest, a_full_line_takes_no_more_until_its_other_end_reads) {
  std::size_t sent = 0;
  while (here_.send(BelongTo{std::to_string(sent)})) ++sent;
  EXPECT_EQ(here_.send(End{}).error().code, Errc::overloaded);
  EXPECT_EQ(here_.send_within(1ms, End{}).error().code, Errc::deadline_exceeded);
  auto last = std::async(std::launch::async, [&] { return here_.send_within(60s, End{}); });
  for (std::size_t i = 0; i < sent; ++i) {
    const auto one = there_->receive();
    ASSERT_TRUE(one);
    EXPECT_EQ(std::get<BelongTo>(one->message).tenant, std::to_string(i));
  }
  const auto one = there_->receive_within(60s);
  ASSERT_TRUE(one);
  EXPECT_TRUE(std::holds_alternative<End>(one->message));
  EXPECT_TRUE(last.get());
}

TEST_F(MessageLineTest, one_who_waits_for_room_hears_that_the_other_end_is_gone) {
  while (here_.send(BelongTo{"acme"})) {
  }
  auto last = std::async(std::launch::async, [&] { return here_.send_within(60s, End{}); });
  there_.reset();
  EXPECT_EQ(last.get().error().code, Errc::unreachable);
  EXPECT_EQ(here_.receive().error().code, Errc::unreachable);
  EXPECT_EQ(here_.receive_within(60s).error().code, Errc::unreachable);
}

TEST_F(MessageLineTest, what_does_not_come_in_time_is_told) {
  EXPECT_EQ(there_->receive_within(1ms).error().code, Errc::deadline_exceeded);
}

TEST_F(MessageLineTest, what_is_no_message_of_this_line_is_refused) {
  for (const std::string text : {"", "null", "{}", "{\"kind\": \"place\"}", "{\"kind\": \"x\"}"}) {
    EXPECT_EQ(MessageText<TenantMessage>::decode(text).error().code, Errc::protocol) << text;
    EXPECT_EQ(MessageText<InferMessage>::decode(text).error().code, Errc::protocol) << text;
  }
  ASSERT_TRUE(send_text(there_->socket(), "no JSON", -1));
  EXPECT_EQ(here_.receive().error().code, Errc::protocol);
}

}  // namespace
}  // namespace aloft::host
