// What programs of version 0.1.0 said, as bytes that were recorded, is understood today; and what
// is said in messages that they do not know yet does not confuse them: they skip it, and keep it
// where they hand it on.
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include "aloft/cluster/records.pb.h"
#include "aloft/v1/host.pb.h"
#include "aloft/v1/offload_manager.pb.h"
#include "function/fields.h"
#include "function/protocol.h"
#include "wire/greeting.h"

namespace aloft {
namespace {

std::string bytes_of(std::string_view digits) {
  std::string bytes;
  std::string pair;
  for (const char digit : digits) {
    if (digit == ' ') continue;
    pair += digit;
    if (pair.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(pair, nullptr, 16));
    pair.clear();
  }
  return bytes;
}

std::span<const std::byte> span_of(const std::string& bytes) {
  return std::as_bytes(std::span(bytes));
}

// HELLO of a device with a ticket of three bytes, and WELCOME of a host, up to their payload's end.
constexpr std::string_view kHello =
    "89 41 4c 4f 46 54 0d 0a 01 02 00 00 01 00 01 00 2a 00 00 00"
    "83 a4 72 6f 6c 65 a2 75 65 a8 73 6f 66 74 77 61 72 65 ab 61 6c 6f 66 74 2f 30 2e 31 2e 30"
    "a6 74 69 63 6b 65 74 c4 03 01 02 03";
constexpr std::string_view kWelcome =
    "89 41 4c 4f 46 54 0d 0a 02 01 00 00 01 00 01 00 2d 00 00 00"
    "82 a4 72 6f 6c 65 b1 65 78 65 63 75 74 69 6f 6e 5f 68 61 6e 64 6c 65 72"
    "a8 73 6f 66 74 77 61 72 65 ab 61 6c 6f 66 74 2f 30 2e 31 2e 30";

wire::Greeting greeting_of(const std::string& bytes) {
  std::array<std::byte, wire::kGreetingSize> fixed{};
  std::ranges::copy(span_of(bytes).first(fixed.size()), fixed.begin());
  const auto greeting = wire::unpack(fixed);
  EXPECT_TRUE(greeting) << greeting.error().message;
  return greeting.value_or(wire::Greeting{});
}

TEST(Recorded, the_handshake_of_version_0_1_0_is_understood) {
  const std::string hello = bytes_of(kHello);
  const auto asked = greeting_of(hello);
  EXPECT_EQ(asked.kind, wire::GreetingKind::hello);
  EXPECT_EQ(wire::choose_version(wire::kVersions, asked.versions), 1);
  ASSERT_EQ(hello.size(), wire::kGreetingSize + asked.length);
  function::FieldReader fields(span_of(hello).subspan(wire::kGreetingSize), "hello");
  std::string role;
  std::span<const std::byte> ticket;
  fields.get("role", role);
  fields.get("ticket", ticket);
  ASSERT_TRUE(fields.ok()) << fields.error().message;
  EXPECT_EQ(role, "ue");
  EXPECT_EQ(ticket.size(), 3U);

  const std::string welcome = bytes_of(kWelcome);
  const auto answered = greeting_of(welcome);
  EXPECT_EQ(answered.kind, wire::GreetingKind::welcome);
  EXPECT_EQ(answered.credit, wire::CreditRule::required);
  ASSERT_EQ(welcome.size(), wire::kGreetingSize + answered.length);
}

// "new keys in MessagePack maps ... are ignored": a ModuleOpened with one more.
TEST(Recorded, a_head_with_a_key_that_is_not_known_is_read_without_it) {
  const function::Message opened = function::ModuleOpened{
      .module_id = 7, .call_streams = {16, 17}, .engine = "w", .inference = "i"};
  auto bytes = function::encode(opened);
  ASSERT_EQ(std::to_integer<unsigned>(bytes[0]) & 0xf0U, 0x80U) << "a short map";
  bytes[0] = static_cast<std::byte>(std::to_integer<unsigned>(bytes[0]) + 1);
  for (const char c : bytes_of("a5 6c 61 74 65 72 92 01 a1 78"))  // "later": [1, "x"]
    bytes.push_back(static_cast<std::byte>(c));
  const auto read = function::decode(bytes);
  ASSERT_TRUE(read) << read.error().message;
  const auto* const same = std::get_if<function::ModuleOpened>(&*read);
  ASSERT_NE(same, nullptr);
  EXPECT_EQ(same->module_id, 7U);
  EXPECT_THAT(same->call_streams, ::testing::ElementsAre(16U, 17U));
}

// OpenSessionRequest of a device of 0.1.0: modules, resources, client_key_sha256,
// idempotency_key.
TEST(Recorded, an_open_of_a_device_of_version_0_1_0_asks_for_no_more_than_it_did) {
  const std::string bytes = bytes_of(
      "0a 12 0a 06 64 65 74 65 63 74 12 08 73 68 61 32 35 36 3a 61"
      "12 05 08 80 80 80 20 22 02 6b 6b 32 02 69 69");
  v1::OpenSessionRequest request;
  ASSERT_TRUE(request.ParseFromString(bytes));
  EXPECT_EQ(request.modules(0).name(), "detect");
  EXPECT_EQ(request.modules(0).digest(), "sha256:a");
  EXPECT_EQ(request.resources().memory_bytes(), 64U << 20U);
  EXPECT_EQ(request.client_key_sha256(), "kk");
  EXPECT_EQ(request.idempotency_key(), "ii");
  EXPECT_EQ(request.api_version(), 0U) << "it runs what it asked for, whatever is rolled out";
  EXPECT_EQ(request.SerializeAsString(), bytes) << "and says nothing else";
}

// HeartbeatRequest of a host of 0.1.0: host_id, boot_id, load, free_memory_bytes.
TEST(Recorded, a_heartbeat_of_a_host_of_version_0_1_0_counts_nothing) {
  v1::HeartbeatRequest request;
  ASSERT_TRUE(request.ParseFromString(
      bytes_of("0a 02 68 31 12 02 62 31 19 00 00 00 00 00 00 e0 3f 20 80 80 80 80 04")));
  EXPECT_EQ(request.host_id(), "h1");
  EXPECT_EQ(request.boot_id(), "b1");
  EXPECT_EQ(request.load(), 0.5);
  EXPECT_EQ(request.free_memory_bytes(), std::uint64_t{1} << 30U);
  EXPECT_TRUE(request.module_counts().empty());
}

TEST(Recorded,
     what_a_later_manager_wrote_into_a_record_is_still_there_when_an_older_one_changed_it) {
  cluster::records::SessionRecord record;
  record.set_tenant("acme");
  record.set_generation(3);
  constexpr int kLater = 500;
  record.GetReflection()->MutableUnknownFields(&record)->AddLengthDelimited(kLater,
                                                                            "of a later version");
  const std::string bytes = record.SerializeAsString();

  cluster::records::SessionRecord read;
  ASSERT_TRUE(read.ParseFromString(bytes));
  const cluster::records::SessionRecord copy = read;  // as a decision makes one
  cluster::records::SessionRecord changed = copy;
  changed.set_generation(4);
  cluster::records::SessionRecord again;
  ASSERT_TRUE(again.ParseFromString(changed.SerializeAsString()));
  EXPECT_EQ(again.generation(), 4U);
  const auto& kept = again.GetReflection()->GetUnknownFields(again);
  ASSERT_EQ(kept.field_count(), 1);
  EXPECT_EQ(kept.field(0).number(), kLater);
  EXPECT_EQ(kept.field(0).length_delimited(), "of a later version");
}

}  // namespace
}  // namespace aloft
