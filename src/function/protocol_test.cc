#include "function/protocol.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "channel/endpoint.h"
#include <aloft/codec/writer.h>

namespace aloft::function {
namespace {

using Bytes = std::vector<std::byte>;

// What decode() gives for what encode() gave.
template <class T>
T there_and_back(const T& message) {
  const auto decoded = decode(encode(message));
  EXPECT_TRUE(decoded.has_value()) << (decoded ? "" : decoded.error().message);
  const T* const same = decoded ? std::get_if<T>(&*decoded) : nullptr;
  EXPECT_NE(same, nullptr);
  return same != nullptr ? *same : T{};
}

// A map of the pairs that `write` puts behind the type.
Bytes head(std::size_t fields, std::string_view type,
           const std::function<void(codec::Writer&)>& write) {
  codec::Writer writer;
  writer.map(fields + 1);
  writer.string("t");
  writer.string(type);
  write(writer);
  Bytes bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

void put(codec::Writer& writer, std::string_view name, std::uint64_t number) {
  writer.string(name);
  writer.unsigned_integer(number);
}

std::string error_of(std::span<const std::byte> bytes) {
  const auto decoded = decode(bytes);
  if (decoded) return "no error";
  EXPECT_EQ(decoded.error().code, Errc::protocol);
  return decoded.error().message;
}

TEST(Protocol, open_module_comes_back_as_it_was) {
  const OpenModule message{
      .module_id = 3,
      .name = "detect",
      .digest = "sha256:" + std::string(64, 'a'),
      .functions = {{"aloft_fn_a", std::string(64, '1')}, {"aloft_fn_b", std::string(64, '2')}},
      .models = {{"detector", std::string(64, '3'), 12'000'000'000}},
      .concurrency = 4,
      .argument_bytes = 1'400'000};
  const OpenModule same = there_and_back(message);
  EXPECT_EQ(same.module_id, 3U);
  EXPECT_EQ(same.name, "detect");
  EXPECT_EQ(same.digest, message.digest);
  ASSERT_EQ(same.functions.size(), 2U);
  EXPECT_EQ(same.functions[1].export_name, "aloft_fn_b");
  EXPECT_EQ(same.functions[1].signature_hash, std::string(64, '2'));
  ASSERT_EQ(same.models.size(), 1U);
  EXPECT_EQ(same.models[0].name, "detector");
  EXPECT_EQ(same.models[0].size, 12'000'000'000U);
  EXPECT_EQ(same.concurrency, 4U);
  EXPECT_EQ(same.argument_bytes, 1'400'000U);
}

TEST(Protocol, a_return_without_an_error_is_a_success_and_one_with_it_is_not) {
  const Return ok =
      there_and_back(Return{.call_id = 9, .queue_us = 1, .run_us = 2, .inference_us = 3});
  EXPECT_FALSE(ok.error.has_value());
  EXPECT_EQ(ok.call_id, 9U);
  EXPECT_EQ(ok.queue_us, 1U);
  EXPECT_EQ(ok.run_us, 2U);
  EXPECT_EQ(ok.inference_us, 3U);
  const Return trapped =
      there_and_back(Return{.call_id = 10,
                            .error = Error{Errc::trapped, "integer divide by zero"},
                            .trap_backtrace = "detect.cc:12",
                            .tensor_digests = {"ab", "cd"}});
  ASSERT_TRUE(trapped.error.has_value());
  EXPECT_EQ(trapped.error->code, Errc::trapped);
  EXPECT_EQ(trapped.error->message, "integer divide by zero");
  EXPECT_EQ(trapped.trap_backtrace, "detect.cc:12");
  EXPECT_EQ(trapped.tensor_digests, (std::vector<std::string>{"ab", "cd"}));
}

TEST(Protocol, the_small_messages_come_back_as_they_were) {
  const Call call = there_and_back(Call{1ULL << 40U, 2, 5, 250'000, true});
  EXPECT_EQ(call.call_id, 1ULL << 40U);
  EXPECT_EQ(call.module_id, 2U);
  EXPECT_EQ(call.function, 5U);
  EXPECT_EQ(call.deadline_us, 250'000U);
  EXPECT_TRUE(call.digest_tensors);
  EXPECT_EQ(there_and_back(NeedCapacity{1, 77}).bytes, 77U);
  EXPECT_EQ(there_and_back(CancelCall{8}).call_id, 8U);
  EXPECT_EQ(there_and_back(ModelBytes{"ff"}).sha256, "ff");
  EXPECT_EQ(there_and_back(ModelWanted{1, "ff", 17}).stream, 17U);
  EXPECT_EQ(there_and_back(ModuleRefused{2, {Errc::not_found, "no such module"}}).why.message,
            "no such module");
  const ModuleOpened opened =
      there_and_back(ModuleOpened{1, {16, 17, 300}, "wasmtime 48", "onnxruntime", 3});
  EXPECT_EQ(opened.call_streams, (std::vector<std::uint32_t>{16, 17, 300}));
  EXPECT_EQ(opened.engine, "wasmtime 48");
  const GuestLog line = there_and_back(GuestLog{4, true, "hello"});
  EXPECT_TRUE(line.is_error);
  EXPECT_EQ(line.line, "hello");
}

TEST(Protocol, a_field_that_is_missing_or_of_another_type_is_named) {
  EXPECT_EQ(error_of(head(0, "cancel_call", [](codec::Writer&) {})),
            "cancel_call: the field 'call_id' is missing");
  EXPECT_EQ(error_of(head(1, "cancel_call",
                          [](codec::Writer& writer) {
                            writer.string("call_id");
                            writer.string("eight");
                          })),
            "cancel_call: the field 'call_id' is not an unsigned integer");
  EXPECT_EQ(error_of(head(2, "need_capacity",
                          [](codec::Writer& writer) {
                            put(writer, "module_id", 1ULL << 32U);
                            put(writer, "bytes", 1);
                          })),
            "need_capacity: the field 'module_id' is not an unsigned integer of 32 bits");
  EXPECT_EQ(error_of(head(2, "module_refused",
                          [](codec::Writer& writer) {
                            put(writer, "module_id", 1);
                            writer.string("why");
                            writer.map(1);
                            put(writer, "code", 2);
                          })),
            "why: the field 'message' is missing");
}

TEST(Protocol, an_unknown_field_is_ignored_whatever_is_in_it) {
  const Bytes later(300);
  const auto bytes = head(3, "cancel_call", [&](codec::Writer& writer) {
    writer.string("later");
    writer.array(2);
    writer.map(1);
    writer.string("x");
    writer.nil();
    writer.float64(0.5);
    put(writer, "call_id", 8);
    writer.string("later_still");
    writer.binary(later);
  });
  const auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  EXPECT_EQ(std::get<CancelCall>(*decoded).call_id, 8U);
}

TEST(Protocol, an_unknown_type_is_named) {
  EXPECT_EQ(error_of(head(0, "teleport", [](codec::Writer&) {})),
            "message of an unknown type 'teleport'");
}

TEST(Protocol, an_unknown_error_code_is_read_as_internal) {
  const auto bytes = head(2, "module_refused", [](codec::Writer& writer) {
    put(writer, "module_id", 1);
    writer.string("why");
    writer.map(2);
    put(writer, "code", 999);
    writer.string("message");
    writer.string("from the future");
  });
  EXPECT_EQ(std::get<ModuleRefused>(decode(bytes).value()).why.code, Errc::internal);
}

TEST(Protocol, a_head_cut_off_anywhere_is_refused) {
  const Bytes whole = encode(ModuleOpened{1, {16, 17}, "wasmtime", "onnxruntime"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode(std::span(whole).first(size)).has_value()) << size << " bytes";
  }
  Bytes longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_EQ(error_of(longer), "message: has bytes after its end");
}

TEST(Protocol, nesting_without_end_and_lengths_that_nothing_backs_are_refused) {
  const Bytes deep(16'000, std::byte{0x91});
  EXPECT_FALSE(decode(deep).has_value());
  Bytes nested{std::byte{0x81}, std::byte{0xa1}, std::byte{'t'}};
  nested.insert(nested.end(), deep.begin(), deep.end());
  EXPECT_EQ(error_of(nested), "message: is cut off or malformed");
  const Bytes huge{std::byte{0xdf}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                   std::byte{0xff}};
  EXPECT_FALSE(decode(huge).has_value());
  const Bytes long_string{std::byte{0x81}, std::byte{0xa1}, std::byte{'t'},  std::byte{0xdb},
                          std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  EXPECT_FALSE(decode(long_string).has_value());
}

TEST(Protocol, a_field_that_comes_twice_is_refused) {
  const auto bytes = head(2, "cancel_call", [](codec::Writer& writer) {
    put(writer, "call_id", 1);
    put(writer, "call_id", 2);
  });
  EXPECT_EQ(error_of(bytes), "message: has the field 'call_id' twice");
}

TEST(Protocol, long_texts_are_cut_so_that_a_head_stays_within_its_bound) {
  const std::string text = std::string(kMaxText - 1, 'x') + "\xc3\xa4" + std::string(100'000, 'y');
  const Return message{.call_id = 1, .error = Error{Errc::trapped, text}, .trap_backtrace = text};
  EXPECT_LE(encode(message).size(), channel::kMaxHead);
  const Return same = there_and_back(message);
  EXPECT_EQ(same.error->message, std::string(kMaxText - 1, 'x')) << "and not within a character";
  EXPECT_EQ(same.trap_backtrace.size(), 2 * kMaxText);
  EXPECT_LE(encode(GuestLog{1, false, text}).size(), channel::kMaxHead);
}

}  // namespace
}  // namespace aloft::function
