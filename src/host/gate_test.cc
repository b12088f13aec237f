#include "host/gate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/testing/hellos.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using identity::ClusterTime;
using identity::SigningKey;
using ::testing::HasSubstr;

class GateTest : public ::testing::Test {
 protected:
  GateTest() {
    gate_.trust({key_.verifying()});
    gate_.hear_time(ClusterTime{10'000});
  }

  Gate make_gate() {
    return Gate({.tenant = "acme",
                 .host = "h1",
                 .boot_id = "boot",
                 .resume_key = {std::byte{7}},
                 .since_boot = [this] { return boot_time_; }});
  }
  [[nodiscard]] identity::Ticket ticket() const {
    return {.tenant = "acme",
            .session = "s1",
            .generation = 3,
            .modules = {sha256({})},
            .client_key = device_,
            .host = "h1",
            .handler_boot = "boot",
            .issued = ClusterTime{10'000},
            .expires = ClusterTime{40'000},
            .limits = {.memory_bytes = 1U << 20U}};
  }
  [[nodiscard]] std::vector<std::byte> hello(const identity::Ticket& ticket) const {
    return hello_with_ticket(identity::seal(ticket, key_).value());
  }
  // Why it is not let in; empty: it is.
  std::string refusal(std::span<const std::byte> hello, std::optional<Digest> key) {
    const auto admitted = gate_.admit(hello, key);
    return admitted ? "" : admitted.error().message;
  }

  const SigningKey key_ = SigningKey::generate();
  const Digest device_ = sha256(std::as_bytes(std::span("device")));
  const Digest thief_ = sha256(std::as_bytes(std::span("thief")));
  std::chrono::milliseconds boot_time_{0};
  Gate gate_ = make_gate();
};

TEST_F(GateTest, a_ticket_opens_what_it_says_and_gives_a_secret) {
  const auto admitted = gate_.admit(hello(ticket()), device_);
  ASSERT_TRUE(admitted) << admitted.error().message;
  EXPECT_EQ(admitted->rights.session, "s1");
  EXPECT_EQ(admitted->rights.generation, 3U);
  EXPECT_EQ(admitted->rights.modules, std::vector{sha256({})});
  EXPECT_EQ(admitted->rights.memory_bytes, 1U << 20U);
  EXPECT_FALSE(admitted->resume_secret.empty());
}

TEST_F(GateTest, what_is_no_ticket_for_this_device_here_and_now_opens_nothing) {
  EXPECT_THAT(refusal(hello(ticket()), std::nullopt), HasSubstr("certificate"));
  EXPECT_THAT(refusal(hello(ticket()), thief_), HasSubstr("another key"));
  EXPECT_THAT(refusal(plain_hello(), device_), HasSubstr("open a session"));
  auto other = ticket();
  other.tenant = "evil";
  EXPECT_THAT(refusal(hello(other), device_), HasSubstr("another tenant"));
  other = ticket();
  other.host = "h2";
  EXPECT_THAT(refusal(hello(other), device_), HasSubstr("another host"));
  other = ticket();
  other.handler_boot = "former";
  EXPECT_THAT(refusal(hello(other), device_), HasSubstr("another process"));
  const auto forged = identity::seal(ticket(), SigningKey::generate()).value();
  EXPECT_THAT(refusal(hello_with_ticket(forged), device_), HasSubstr("none of this cluster's"));
  auto damaged = identity::seal(ticket(), key_).value();
  damaged.back() ^= std::byte{1};
  EXPECT_NE(refusal(hello_with_ticket(damaged), device_), "");
  EXPECT_NE(refusal(hello_with_ticket({}), device_), "");
  boot_time_ = 31s;
  EXPECT_THAT(refusal(hello(ticket()), device_), HasSubstr("expired"));
}

TEST_F(GateTest, before_the_time_is_known_a_device_is_told_to_come_later) {
  Gate gate = make_gate();
  gate.trust({key_.verifying()});
  const auto admitted = gate.admit(hello(ticket()), device_);
  ASSERT_FALSE(admitted);
  EXPECT_EQ(admitted.error().code, Errc::unreachable);
}

TEST_F(GateTest, a_secret_lets_the_same_device_back_in_long_after_its_ticket) {
  const auto admitted = gate_.admit(hello(ticket()), device_);
  ASSERT_TRUE(admitted) << admitted.error().message;
  const auto back = hello_to_resume("s1", admitted->resume_secret);
  boot_time_ = 24h;
  const auto again = gate_.admit(back, device_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->rights.modules, admitted->rights.modules);
  EXPECT_EQ(again->rights.memory_bytes, admitted->rights.memory_bytes);
  EXPECT_EQ(again->rights.ends, admitted->rights.ends);
  // A process that takes the place of this one, without managers: neither keys nor time.
  Gate successor = make_gate();
  EXPECT_TRUE(successor.admit(back, device_));

  EXPECT_NE(refusal(back, thief_), "");
  EXPECT_NE(refusal(hello_to_resume("s2", admitted->resume_secret), device_), "");
  for (const std::size_t at : {0UL, 32UL, 40UL, admitted->resume_secret.size() - 1}) {
    auto changed = admitted->resume_secret;
    changed[at] ^= std::byte{1};
    EXPECT_NE(refusal(hello_to_resume("s1", changed), device_), "") << at;
  }
  for (std::size_t size = 0; size < admitted->resume_secret.size(); ++size) {
    const std::span<const std::byte> cut(admitted->resume_secret.data(), size);
    EXPECT_NE(refusal(hello_to_resume("s1", cut), device_), "") << size;
  }
}

TEST_F(GateTest, an_older_placement_is_stale_and_a_released_one_is_over) {
  const auto old = gate_.admit(hello(ticket()), device_);
  ASSERT_TRUE(old);
  gate_.expect("s1", 5);
  EXPECT_THAT(refusal(hello(ticket()), device_), HasSubstr("newer placement"));
  EXPECT_THAT(refusal(hello_to_resume("s1", old->resume_secret), device_),
              HasSubstr("newer placement"));
  auto newer = ticket();
  newer.generation = 5;
  EXPECT_EQ(refusal(hello(newer), device_), "");
  gate_.release("s1", 5, ClusterTime{11'000});
  EXPECT_THAT(refusal(hello(newer), device_), HasSubstr("over"));
  newer.generation = 6;
  EXPECT_EQ(refusal(hello(newer), device_), "");
}

TEST(Placements, a_late_release_of_a_former_placement_leaves_the_present_one) {
  Placements book;
  book.expect("s", 2);
  book.release("s", 1, ClusterTime{5});
  EXPECT_TRUE(book.enter("s", 2, ClusterTime{1}));
  EXPECT_FALSE(book.enter("s", 1, ClusterTime{1}));
}

TEST(Placements, what_was_forgotten_stays_out) {
  Placements book(2);
  for (int i = 0; i < 3; ++i) {
    book.expect("s" + std::to_string(i), 1);
    book.release("s" + std::to_string(i), 1, ClusterTime{100 * (i + 1)});
  }
  EXPECT_FALSE(book.enter("s0", 1, ClusterTime{50}));
  EXPECT_TRUE(book.enter("new", 1, ClusterTime{101}));
  EXPECT_FALSE(book.enter("s2", 1, ClusterTime{50}));
}

TEST(Placements, another_book_learns_all_from_the_entries) {
  Placements book(2);
  book.expect("live", 4);
  book.expect("over", 7);
  book.release("over", 7, ClusterTime{9});
  Placements copy(2);
  copy.forget_before(book.forgotten());
  for (const auto& entry : book.entries()) {
    if (entry.released) {
      copy.release(entry.session, entry.generation, entry.at);
    } else {
      copy.expect(entry.session, entry.generation);
    }
  }
  EXPECT_FALSE(copy.enter("live", 3, ClusterTime{1}));
  EXPECT_TRUE(copy.enter("live", 4, ClusterTime{1}));
  EXPECT_FALSE(copy.enter("over", 7, ClusterTime{1}));
  EXPECT_TRUE(copy.enter("over", 8, ClusterTime{1}));
}

TEST(SessionRights, the_shares_of_all_modules_stay_within_the_sessions_memory) {
  constexpr std::uint64_t kMiB = 1U << 20U;
  for (const std::uint64_t memory : {2 * kMiB, 64 * kMiB, 1000 * kMiB}) {
    for (const std::size_t modules : {1U, 2U, 5U}) {
      for (const bool classes : {false, true}) {
        SessionRights rights{.session = "s", .modules = {}, .memory_bytes = memory};
        rights.modules.resize(modules);
        const auto share = share_memory(rights, 4, 256 * kMiB, classes);
        EXPECT_LE(modules * (share.instances * share.instance + share.ends), memory);
        EXPECT_LE(share.instances, 4U);
        EXPECT_EQ(share.ends > 0, classes);
      }
    }
  }
}

TEST(SessionRights, ends_share_what_their_modules_give_and_give_it_back) {
  const auto memory = std::make_shared<EndMemory>();
  EXPECT_EQ(memory->take(1), nullptr);
  memory->allow(Digest{}, 10);
  memory->allow(Digest{}, 10);
  auto first = memory->take(6);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(memory->take(6), nullptr);
  first.reset();
  EXPECT_NE(memory->take(10), nullptr);
}

}  // namespace
}  // namespace aloft::host
