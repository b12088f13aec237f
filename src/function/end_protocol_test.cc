#include "function/end_protocol.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "channel/state_blocks.h"
#include "function/protocol.h"
#include "wire/frame.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

using channel::EndMessage;
using Content = decltype(EndMessage::content);
using Head = std::vector<std::byte>;

EndId end_id() {
  EndId end;
  for (std::size_t i = 0; i < end.size(); ++i) end[i] = static_cast<std::byte>(i * 17);
  return end;
}

channel::SharedBytes bytes(std::size_t size, int fill = 1) {
  return std::make_shared<const channel::Bytes>(size, static_cast<std::byte>(fill));
}

// What comes out of what was put in, body included.
EndHead there_and_back(EndHead head) {
  const channel::SharedBytes body = body_of(head.message);
  const Head encoded = encode(head);
  EXPECT_TRUE(is_end_head(encoded));
  EXPECT_LE(encoded.size(), wire::kMaxHead);
  auto decoded = decode_end(encoded, body == nullptr ? 0 : body->size());
  EXPECT_TRUE(decoded.has_value()) << (decoded ? "" : decoded.error().message);
  if (!decoded) return {};
  put_body(decoded->message, body);
  EXPECT_EQ(encode(*decoded), encoded);
  return *std::move(decoded);
}

template <class T>
T there_and_back(T content) {
  const EndHead back = there_and_back(
      EndHead{.end = end_id(), .message = {.epoch = 12, .content = std::move(content)}});
  EXPECT_EQ(back.message.epoch, 12U);
  const T* const same = std::get_if<T>(&back.message.content);
  EXPECT_NE(same, nullptr);
  return same == nullptr ? T{} : *same;
}

std::string error_of(std::span<const std::byte> head, std::uint64_t body_size = 0) {
  const auto decoded = decode_end(head, body_size);
  if (decoded) return "no error";
  EXPECT_EQ(decoded.error().code, Errc::protocol);
  return decoded.error().message;
}

TEST(EndProtocol, attach_says_what_is_to_be_made) {
  const EndHead head{.end = end_id(),
                     .message = {.epoch = 3, .content = channel::Attach{}},
                     .terms = {.module_id = 4,
                               .object_class = 2,
                               .in_flight = 7,
                               .priority = 2,
                               .has_state = true,
                               .has_effects = false}};
  const EndHead back = there_and_back(head);
  EXPECT_EQ(back.end, end_id());
  EXPECT_EQ(back.message.epoch, 3U);
  EXPECT_EQ(back.terms.module_id, 4U);
  EXPECT_EQ(back.terms.object_class, std::optional<std::uint32_t>(2));
  EXPECT_EQ(back.terms.in_flight, 7U);
  EXPECT_EQ(back.terms.priority, 2);
  EXPECT_TRUE(back.terms.has_state);
  EXPECT_FALSE(back.terms.has_effects);
}

TEST(EndProtocol, an_end_of_a_function_has_no_class) {
  const EndHead back = there_and_back(
      EndHead{.message = {.epoch = 1, .content = channel::Attach{.resume = true, .answered = 9}},
              .terms = {.has_effects = true}});
  EXPECT_FALSE(back.terms.object_class.has_value());
  EXPECT_TRUE(std::get<channel::Attach>(back.message.content).resume);
  EXPECT_EQ(std::get<channel::Attach>(back.message.content).answered, 9U);
  EXPECT_TRUE(back.terms.has_effects);
}

TEST(EndProtocol, attached_names_the_streams) {
  const EndHead back = there_and_back(
      EndHead{.end = end_id(),
              .message = {.epoch = 1, .content = channel::Attached{.known = true, .received = 5}},
              .streams = {.stream = 20, .state_stream = 21}});
  EXPECT_EQ(back.streams.stream, 20U);
  EXPECT_EQ(back.streams.state_stream, 21U);
  EXPECT_TRUE(std::get<channel::Attached>(back.message.content).known);
  EXPECT_EQ(std::get<channel::Attached>(back.message.content).received, 5U);
}

TEST(EndProtocol, deliveries_and_answers_carry_their_bodies) {
  const auto deliver = there_and_back(
      channel::Deliver{.sequence = 5, .method = 2, .body = bytes(100), .answered = 4});
  EXPECT_EQ(deliver.sequence, 5U);
  EXPECT_EQ(deliver.method, 2U);
  EXPECT_EQ(deliver.answered, 4U);
  EXPECT_EQ(deliver.body->size(), 100U);
  const auto answer = there_and_back(channel::Answer{.sequence = 6, .error = {}, .body = bytes(0)});
  EXPECT_EQ(answer.sequence, 6U);
  EXPECT_FALSE(answer.error.has_value());
  ASSERT_NE(answer.body, nullptr);
  const auto failed = there_and_back(
      channel::Answer{.sequence = 7, .error = Error{Errc::interrupted, "who knows"}, .body = {}});
  EXPECT_EQ(failed.error->code, Errc::interrupted);
  EXPECT_EQ(failed.error->message, "who knows");
  EXPECT_EQ(failed.body, nullptr);
}

TEST(EndProtocol, small_messages_come_back_as_they_were) {
  EXPECT_EQ(there_and_back(channel::Acknowledge{.answered = 8}).answered, 8U);
  EXPECT_EQ(there_and_back(channel::SnapshotWanted{.base = 3}).base, 3U);
  there_and_back(channel::Detach{});
  EXPECT_EQ(there_and_back(channel::Lost{.why = {Errc::trapped, "gone"}}).why.code, Errc::trapped);
  const auto installed = there_and_back(channel::Installed{.version = 4, .final = true});
  EXPECT_EQ(installed.version, 4U);
  EXPECT_TRUE(installed.final);
}

TEST(EndProtocol, states_come_back_block_for_block) {
  const auto whole = there_and_back(
      channel::Install{.state = channel::whole_state(2, 7, bytes(20'000)), .final = true});
  EXPECT_TRUE(whole.final);
  EXPECT_EQ(whole.state.blocks, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(whole.state.at, 7U);
  auto base = bytes(50'000);
  auto next = std::make_shared<channel::Bytes>(*base);
  (*next)[0] = (*next)[5000] = (*next)[49'999] = std::byte{9};
  const auto changes =
      there_and_back(channel::State{.state = channel::changed_blocks(2, *base, 3, 8, next)});
  EXPECT_EQ(changes.state.base, 2U);
  EXPECT_EQ(changes.state.version, 3U);
  EXPECT_EQ(changes.state.blocks, (std::vector<std::uint32_t>{0, 1, 12}));
  const auto applied = channel::apply_blocks(changes.state, base);
  ASSERT_TRUE(applied.has_value());
  EXPECT_EQ(**applied, *next);
  there_and_back(channel::State{.state = channel::whole_state(1, 0, bytes(0))});
}

TEST(EndProtocol, as_many_runs_as_there_may_be_fit_a_head) {
  channel::StateBlocks state{
      .version = ~0ULL, .base = ~0ULL - 1, .at = ~0ULL, .size = 0, .blocks = {}, .bytes = {}};
  // As far up as they go, where the numbers are longest.
  const auto last = static_cast<std::uint32_t>(channel::kMaxState / channel::kStateBlock);
  for (std::uint32_t i = 0; i < channel::kMaxStateRuns; ++i)
    state.blocks.push_back(last - 2 * (static_cast<std::uint32_t>(channel::kMaxStateRuns) - i));
  state.size = channel::kMaxState;
  state.bytes = bytes(channel::kMaxStateRuns * channel::kStateBlock);
  EXPECT_EQ(there_and_back(channel::State{.state = state}).state.blocks, state.blocks);
}

TEST(EndProtocol, a_body_where_none_belongs_or_of_another_size_is_refused) {
  const auto head = [](Content content) {
    return encode(EndHead{.message = {.epoch = 1, .content = std::move(content)}});
  };
  EXPECT_EQ(error_of(head(channel::Detach{}), 1), "end_detach: comes with a body");
  EXPECT_EQ(error_of(head(channel::Answer{.sequence = 1, .error = Error{}, .body = {}}), 1),
            "end_answer: comes with a body");
  const Head state = head(channel::State{.state = channel::whole_state(1, 0, bytes(5000))});
  EXPECT_EQ(error_of(state, 4999), "end_state: the body is not the blocks that the head says");
  EXPECT_EQ(error_of(state, 5000), "no error");
}

// A head of a state with these runs.
Head state_head(std::uint64_t size, const std::vector<std::uint32_t>& runs) {
  codec::Writer writer;
  writer.map(7);
  writer.string("t");
  writer.string("end_state");
  const std::pair<std::string_view, std::uint64_t> numbers[] = {
      {"epoch", 1}, {"version", 2}, {"base", 1}, {"at", 0}, {"size", size}};
  for (const auto& [name, number] : numbers) {
    writer.string(name);
    writer.unsigned_integer(number);
  }
  writer.string("blocks");
  writer.array(runs.size());
  for (const std::uint32_t number : runs) writer.unsigned_integer(number);
  Head head;
  for (const auto segment : writer.segments())
    head.insert(head.end(), segment.begin(), segment.end());
  return head;
}

TEST(EndProtocol, runs_that_cannot_be_take_no_memory) {
  EXPECT_EQ(error_of(state_head(10'000, {0, 1, 2, 1}), 4096 + 10'000 - 8192), "no error");
  EXPECT_EQ(error_of(state_head(10'000, {0}), 0),
            "end_state: the field 'blocks' is not a list of runs");
  const std::string unfit = "end_state: the field 'blocks' does not fit the state's size";
  EXPECT_EQ(error_of(state_head(10'000, {0, 4}), 10'000), unfit);
  EXPECT_EQ(error_of(state_head(10'000, {0, 0xffff'ffff}), 10'000), unfit);
  EXPECT_EQ(error_of(state_head(10'000, {0xffff'ffff, 0xffff'ffff}), 10'000), unfit);
  EXPECT_EQ(error_of(state_head(10'000, {1, 1, 0, 1}), 8192), unfit);
  EXPECT_EQ(error_of(state_head(10'000, {0, 0}), 0), unfit);
  EXPECT_EQ(error_of(state_head(~0ULL, {}), 0), "end_state: the field 'size' is too large");
  // Nearly 4 GB of blocks in a head of a few bytes.
  EXPECT_EQ(error_of(state_head(0xffff'ffff, {0, 1'000'000}), 100),
            "end_state: the body is not the blocks that the head says");
}

TEST(EndProtocol, fields_are_checked) {
  const Head attach =
      encode(EndHead{.end = end_id(), .message = {.epoch = 1, .content = channel::Attach{}}});
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text(reinterpret_cast<const char*>(attach.data()), attach.size());
    text.replace(text.find(from), from.size(), to);
    const auto* const data = reinterpret_cast<const std::byte*>(text.data());
    return error_of(Head(data, data + text.size()));
  };
  EXPECT_EQ(with("epoch", "epoxx"), "end_attach: the field 'epoch' is missing");
  EXPECT_EQ(with(to_string(end_id()).substr(0, 4), "00zz"),
            "end_attach: the field 'end' is not 32 hexadecimal digits");
  EXPECT_EQ(with("priority\x01", "priority\x03"), "end_attach: the field 'priority' is above 2");
  EXPECT_EQ(with(std::string_view("has_state\xc2", 10), std::string_view("has_state\x07", 10)),
            "end_attach: the field 'has_state' is not a boolean");
  EXPECT_EQ(error_of(encode(EndHead{.message = {.epoch = 1, .content = channel::Attach{}},
                                    .terms = {.has_state = true, .has_effects = true}})),
            "end_attach: an end has either a state or effects");
  for (std::size_t size = 0; size < attach.size(); ++size)
    EXPECT_FALSE(decode_end(std::span(attach).first(size), 0).has_value()) << size << " bytes";
}

TEST(EndProtocol, other_heads_are_none_of_an_end) {
  EXPECT_FALSE(is_end_head(encode(Message(CancelCall{.call_id = 1}))));
  EXPECT_FALSE(is_end_head({}));
  EXPECT_EQ(error_of(encode(Message(CancelCall{.call_id = 1}))),
            "message of an unknown type 'cancel_call'");
}

TEST(EndProtocol, each_message_has_its_stream) {
  const auto stream = [](Content content) {
    return stream_of({.epoch = 1, .content = std::move(content)});
  };
  EXPECT_EQ(stream(channel::Attach{}), EndStream::control);
  EXPECT_EQ(stream(channel::Attached{}), EndStream::control);
  EXPECT_EQ(stream(channel::Acknowledge{}), EndStream::control);
  EXPECT_EQ(stream(channel::SnapshotWanted{}), EndStream::control);
  EXPECT_EQ(stream(channel::Detach{}), EndStream::control);
  EXPECT_EQ(stream(channel::Deliver{}), EndStream::calls);
  EXPECT_EQ(stream(channel::Answer{}), EndStream::calls);
  EXPECT_EQ(stream(channel::Lost{}), EndStream::calls);
  EXPECT_EQ(stream(channel::Install{}), EndStream::state);
  EXPECT_EQ(stream(channel::Installed{}), EndStream::state);
  EXPECT_EQ(stream(channel::State{}), EndStream::state);
}

TEST(EndProtocol, a_long_text_for_people_is_cut) {
  const auto lost =
      there_and_back(channel::Lost{.why = {Errc::internal, std::string(50'000, 'x')}});
  EXPECT_EQ(lost.why.message.size(), kMaxText);
}

}  // namespace
}  // namespace aloft::function
