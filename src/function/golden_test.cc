// The worked examples of docs/wire.md that are heads: read from that page, checked both ways.
#include "support/golden.h"

#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "function/end_protocol.h"
#include "function/protocol.h"
#include "test_paths.h"

namespace aloft::function {
namespace {

using aloft::testing::GoldenVector;
using nlohmann::json;

enum class Of { calls, ends };

// The heads of calls, or those of the ends of elastic channels.
std::vector<GoldenVector> head_vectors(Of which = Of::calls) {
  auto vectors = aloft::testing::read_golden_vectors(aloft::testing::source_dir() / "docs/wire.md");
  std::erase_if(vectors, [&](const GoldenVector& vector) {
    return vector.text("kind") != "head" || vector.name.starts_with("end-") != (which == Of::ends);
  });
  return vectors;
}

std::uint64_t body_size(const GoldenVector& vector) {
  return vector.fields.contains("body") ? vector.number("body") : 0;
}

Message message_of(const std::string& name) {
  for (const GoldenVector& vector : head_vectors()) {
    if (vector.name == name) return decode(vector.bytes).value();
  }
  ADD_FAILURE() << "docs/wire.md has no example " << name;
  return {};
}

TEST(GoldenHeads, are_read_and_written_as_the_page_says) {
  for (const GoldenVector& vector : head_vectors()) {
    const auto message = decode(vector.bytes);
    ASSERT_TRUE(message.has_value()) << vector.name << ": " << message.error().message;
    EXPECT_EQ(aloft::testing::hex(encode(*message)), aloft::testing::hex(vector.bytes))
        << vector.name;
  }
}

TEST(GoldenHeads, show_every_kind_of_message) {
  std::set<std::size_t> kinds;
  for (const GoldenVector& vector : head_vectors())
    kinds.insert(decode(vector.bytes).value().index());
  EXPECT_EQ(kinds.size(), std::variant_size_v<Message>);
}

TEST(GoldenHeads, may_have_their_keys_in_any_order) {
  for (const GoldenVector& vector : head_vectors()) {
    const json sorted =
        json::parse(vector.text("fields"));  // by name, which is not the order of the page
    const auto bytes = json::to_msgpack(sorted);
    const auto message = decode(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(message.has_value()) << vector.name << ": " << message.error().message;
    EXPECT_EQ(encode(*message), vector.bytes) << vector.name;
  }
}

TEST(GoldenHeads, of_ends_are_read_and_written_as_the_page_says) {
  std::set<std::size_t> kinds;
  for (const GoldenVector& vector : head_vectors(Of::ends)) {
    EXPECT_TRUE(is_end_head(vector.bytes)) << vector.name;
    const auto head = decode_end(vector.bytes, body_size(vector));
    ASSERT_TRUE(head.has_value()) << vector.name << ": " << head.error().message;
    EXPECT_EQ(aloft::testing::hex(encode(*head)), aloft::testing::hex(vector.bytes)) << vector.name;
    kinds.insert(head->message.content.index());
    const auto sorted = json::to_msgpack(json::parse(vector.text("fields")));
    const auto same = decode_end(std::as_bytes(std::span(sorted)), body_size(vector));
    ASSERT_TRUE(same.has_value()) << vector.name << ": " << same.error().message;
    EXPECT_EQ(encode(*same), vector.bytes) << vector.name;
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<decltype(channel::EndMessage::content)>);
}

// That what is read under a name is what is meant by it.
TEST(GoldenHeads, mean_what_they_say) {
  const auto open = std::get<OpenModule>(message_of("head-open-module"));
  EXPECT_EQ(open.name, "detect");
  EXPECT_EQ(open.functions.at(0).export_name, "aloft_fn_detect_object_1a2b3c4d");
  EXPECT_EQ(open.models.at(0).size, 12'800'000U);
  EXPECT_EQ(open.concurrency, 2U);
  EXPECT_EQ(open.argument_bytes, 1'228'837U);
  const auto call = std::get<Call>(message_of("head-call"));
  EXPECT_EQ(call.call_id, 7U);
  EXPECT_EQ(call.module_id, 1U);
  EXPECT_EQ(call.function, 0U);
  EXPECT_EQ(call.deadline_us, 250'000U);
  EXPECT_TRUE(call.pictures.empty());
  const auto with_picture = std::get<Call>(message_of("head-call-with-a-picture"));
  EXPECT_EQ(with_picture.argument_bytes, 921'612U);
  ASSERT_EQ(with_picture.pictures.size(), 1U);
  EXPECT_EQ(with_picture.pictures[0].codec, "jpeg");
  EXPECT_EQ(with_picture.pictures[0].at, 12U);
  EXPECT_EQ(with_picture.pictures[0].size, 40'960U);
  EXPECT_EQ(with_picture.pictures[0].width, 640U);
  EXPECT_EQ(with_picture.pictures[0].height, 480U);
  EXPECT_EQ(with_picture.pictures[0].format, 2U);
  EXPECT_EQ(std::get<Return>(message_of("head-return-decoded")).decode_us, 700U);
  const auto returned = std::get<Return>(message_of("head-return"));
  EXPECT_EQ(returned.queue_us, 35U);
  EXPECT_EQ(returned.run_us, 104'500U);
  EXPECT_EQ(returned.inference_us, 99'800U);
  EXPECT_FALSE(returned.error.has_value());
  const auto trapped = std::get<Return>(message_of("head-return-trapped"));
  EXPECT_EQ(trapped.error->code, Errc::trapped);
  EXPECT_EQ(trapped.trap_backtrace, "detect_object detect.cc:12");
}

}  // namespace
}  // namespace aloft::function
