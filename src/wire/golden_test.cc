// Reads the worked examples of docs/wire.md and checks each both ways.
#include "support/golden.h"

#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "test_paths.h"
#include "wire/error_text.h"
#include "wire/frame.h"
#include "wire/greeting.h"

namespace aloft::wire {
namespace {

using aloft::testing::GoldenVector;
using aloft::testing::hex;
using Json = nlohmann::ordered_json;

const std::vector<GoldenVector>& vectors() {
  static const auto all =
      aloft::testing::read_golden_vectors(aloft::testing::source_dir() / "docs" / "wire.md");
  return all;
}

template <class T>
T named(const std::map<std::string, T>& names, const std::string& name) {
  const auto found = names.find(name);
  if (found != names.end()) return found->second;
  ADD_FAILURE() << "unknown name " << name;
  return {};
}

std::vector<std::byte> message_pack(const std::string& json) {
  const auto packed = Json::to_msgpack(Json::parse(json));
  const auto bytes = std::as_bytes(std::span(packed));
  return {bytes.begin(), bytes.end()};
}

std::string json_of(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Json::from_msgpack(first, first + bytes.size()).dump();
}

void check_greeting(const GoldenVector& vector, GreetingKind kind) {
  const std::map<std::string, CreditRule> rules{{"required", CreditRule::required},
                                                {"not_required", CreditRule::not_required}};
  Greeting greeting;
  greeting.kind = kind;
  greeting.versions = {static_cast<std::uint16_t>(vector.number("version_min")),
                       static_cast<std::uint16_t>(vector.number("version_max"))};
  std::vector<std::byte> packed;
  if (kind == GreetingKind::refused) {
    greeting.code = static_cast<Errc>(vector.number("code"));
    packed = pack_refused(greeting.versions, {greeting.code, vector.text("text")});
  } else {
    greeting.credit = named(rules, vector.text("credit"));
    const auto hello = message_pack(vector.text("hello"));
    packed = kind == GreetingKind::hello
                 ? pack_hello(greeting.versions, greeting.credit, hello)
                 : pack_welcome(greeting.versions.min, greeting.credit, hello);
  }
  EXPECT_EQ(hex(packed), hex(vector.bytes));

  ASSERT_GE(vector.bytes.size(), kGreetingSize);
  const auto all = std::span(vector.bytes);
  const auto payload = all.subspan(kGreetingSize);
  greeting.length = static_cast<std::uint32_t>(payload.size());
  const auto unpacked = unpack(all.first<kGreetingSize>());
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(*unpacked, greeting);
  if (kind == GreetingKind::refused) {
    EXPECT_EQ(printable(payload), vector.text("text"));
  } else {
    EXPECT_EQ(json_of(payload), vector.text("hello"));
  }
}

void check_frame(const GoldenVector& vector) {
  const std::map<std::string, FrameType> types{
      {"message", FrameType::message}, {"credit", FrameType::credit}, {"reset", FrameType::reset},
      {"ping", FrameType::ping},       {"pong", FrameType::pong},     {"close", FrameType::close}};
  const std::map<std::string, Part> parts{{"middle", Part::middle},
                                          {"first", Part::first},
                                          {"last", Part::last},
                                          {"whole", Part::whole}};
  const FrameHeader header{.type = named(types, vector.text("type")),
                           .part = named(parts, vector.text("part")),
                           .head_size = static_cast<std::uint16_t>(vector.number("head_size")),
                           .stream = static_cast<StreamId>(vector.number("stream")),
                           .length = static_cast<std::uint32_t>(vector.number("length")),
                           .number = static_cast<std::uint32_t>(vector.number("number"))};
  ASSERT_GE(vector.bytes.size(), kHeaderSize);
  const auto all = std::span(vector.bytes);
  const auto packed = pack(header);
  EXPECT_EQ(hex({packed.begin(), packed.end()}),
            hex({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kHeaderSize)}));
  const auto unpacked = unpack(all.first<kHeaderSize>());
  ASSERT_TRUE(unpacked) << unpacked.error().message;
  EXPECT_EQ(*unpacked, header);
  EXPECT_EQ(all.size(), kHeaderSize + header.length);

  if (!vector.fields.contains("code")) return;
  const Error error{static_cast<Errc>(vector.number("code")), vector.text("text")};
  const auto payload = all.subspan(kHeaderSize);
  EXPECT_EQ(hex(pack_error(error)), hex({payload.begin(), payload.end()}));
  const auto back = unpack_error(payload);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->code, error.code);
  EXPECT_EQ(back->message, error.message);
}

void check_head(const GoldenVector& vector) {
  EXPECT_EQ(hex(message_pack(vector.text("fields"))), hex(vector.bytes));
  EXPECT_EQ(json_of(vector.bytes), vector.text("fields"));
}

TEST(Golden, every_worked_example_holds_both_ways) {
  for (const GoldenVector& vector : vectors()) {
    SCOPED_TRACE(vector.name);
    const std::string kind = vector.text("kind");
    if (kind == "hello") {
      check_greeting(vector, GreetingKind::hello);
    } else if (kind == "welcome") {
      check_greeting(vector, GreetingKind::welcome);
    } else if (kind == "refused") {
      check_greeting(vector, GreetingKind::refused);
    } else if (kind == "frame") {
      check_frame(vector);
    } else if (kind == "head") {
      check_head(vector);
    } else if (kind == "ticket") {
      // Read by src/identity/ticket_test.cc.
    } else {
      ADD_FAILURE() << "unknown kind " << kind;
    }
  }
}

TEST(Golden, there_is_an_example_of_every_frame_and_greeting) {
  std::set<std::string> kinds;
  std::set<std::string> names;
  for (const GoldenVector& vector : vectors()) {
    EXPECT_TRUE(names.insert(vector.name).second) << vector.name << " is there twice";
    const std::string kind = vector.text("kind");
    kinds.insert(kind == "frame" ? vector.text("type") + " " + vector.text("part") : kind);
  }
  for (const char* kind :
       {"hello", "welcome", "refused", "message whole", "message first", "message last",
        "credit middle", "reset middle", "ping middle", "pong middle", "close middle", "head"}) {
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  }
}

}  // namespace
}  // namespace aloft::wire
