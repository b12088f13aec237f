// The guest that aloft-cc makes, run as an edge host runs it, against the native build of the same
// source: guest ABI 1.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "calls.aloft.h"
#include "calls.h"
#include "runtime/testing/fixture.h"
#include "runtime/wasm_file.h"
#include "test_paths.h"
#include <aloft/codec.h>

namespace aloft::compiler {
namespace {

using Bytes = std::vector<std::byte>;

Bytes read_module(const std::string& name) {
  std::ifstream in(testing::binary_dir() / "modules" / (name + ".wasm"), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class Guest : public runtime::testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    file_ = read_module("compiler_calls");
    auto module = engine_->load(file_);
    ASSERT_TRUE(module.has_value()) << module.error().message;
    ASSERT_TRUE((*module)->check_abi().has_value());
    module_ = *module;
    instance_ = instantiate(module_);
    ASSERT_NE(instance_, nullptr);
  }

  // The export of the `index`th function called `name`.
  std::string export_of(const std::string& name, std::size_t index = 0) const {
    for (const auto& function : module_->manifest()->functions) {
      if (function.name == "calls::" + name && index-- == 0) return function.export_name;
    }
    ADD_FAILURE() << "no function " << name;
    return {};
  }

  runtime::GuestBuffer put(std::span<const std::byte> bytes) {
    auto buffer =
        instance_->make_buffer(static_cast<std::uint32_t>(bytes.size()), runtime::testing::soon());
    if (!buffer) {
      ADD_FAILURE() << runtime::testing::text_of(buffer.error());
      return {};
    }
    std::ranges::copy(bytes, buffer->bytes.begin());
    return *buffer;
  }

  runtime::CallResult<runtime::Reply> call_bytes(const std::string& export_name,
                                                 std::span<const std::byte> bytes) {
    const runtime::GuestBuffer buffer = put(bytes);
    return instance_->call(export_name, buffer.address, static_cast<std::uint32_t>(bytes.size()),
                           runtime::testing::soon());
  }

  template <class R, class... P>
  R call(const std::string& export_name, const P&... arguments) {
    codec::Writer writer;
    codec::write_arguments(writer, arguments...);
    Bytes bytes;
    for (const auto segment : writer.segments())
      bytes.insert(bytes.end(), segment.begin(), segment.end());
    auto reply = call_bytes(export_name, bytes);
    if (!reply) {
      ADD_FAILURE() << runtime::testing::text_of(reply.error());
      return {};
    }
    Bytes result;
    for (const auto segment : reply->segments)
      result.insert(result.end(), segment.begin(), segment.end());
    segments_ = reply->segments.size();
    EXPECT_TRUE(instance_->release(reply->descriptor, runtime::testing::soon()).has_value());
    auto decoded = codec::decode<R>(result);
    if (!decoded) {
      ADD_FAILURE() << decoded.error().message;
      return {};
    }
    return *std::move(decoded);
  }

  template <class... P>
  runtime::Trap trap(const std::string& export_name, const P&... arguments) {
    codec::Writer writer;
    codec::write_arguments(writer, arguments...);
    auto reply = call_bytes(export_name, writer.segments()[0]);
    if (reply || !std::holds_alternative<runtime::Trap>(reply.error())) {
      ADD_FAILURE() << "no trap";
      return {};
    }
    return std::get<runtime::Trap>(reply.error());
  }

  Bytes file_;
  std::shared_ptr<const runtime::Module> module_;
  std::unique_ptr<runtime::Instance> instance_;
  std::size_t segments_ = 0;
};

TEST_F(Guest, imports_only_what_a_host_offers) {
  const runtime::WasmInterface interface =
      runtime::read_interface(runtime::read_sections(file_).value()).value();
  EXPECT_FALSE(interface.imports.empty());
  for (const auto& import : interface.imports)
    EXPECT_EQ(import.module, "wasi_snapshot_preview1") << import.name;
}

TEST_F(Guest, computes_what_the_native_function_computes) {
  EXPECT_EQ((call<int>(export_of("add"), 40, 2)), 42);
  EXPECT_EQ((call<int>(export_of("factorial"), 6)), 720);
  EXPECT_EQ((call<int>(export_of("overloaded", 0), 5)), 5);
  EXPECT_EQ((call<int>(export_of("overloaded", 1), std::string("four"))), 4);
  EXPECT_EQ((call<int>(export_of("sum"), std::vector<std::int32_t>{1, -2, 3})), 2);
}

TEST_F(Guest, takes_and_gives_compound_values) {
  const std::vector<calls::Item> items = {{"a", calls::Kind::fancy, {{1, 2}, {3, 4}}, 0.5, 7},
                                          {"b", calls::Kind::plain, {}, {}, 0},
                                          {std::string(1000, 'c'), {}, {}, 1, 1}};
  const std::pair<float, std::uint64_t> factors = {1.5F, 3};
  const auto there = call<std::map<std::string, calls::Item>>(export_of("regroup"), items, factors);
  EXPECT_EQ(there, calls::regroup(items, factors));
  EXPECT_EQ(there.at("a").points[1], (calls::Point{4.5F, 6}));
}

TEST_F(Guest, reads_images_and_spans_and_checks_what_is_wider_here) {
  const Image image(640, 480, PixelFormat::bgr8, std::vector<std::uint8_t>(640 * 480 * 3, 3));
  const std::vector<double> numbers(1001, 2.0);
  const std::vector<std::size_t> sizes = {1, 2, 4'000'000'000};
  EXPECT_EQ((call<std::vector<std::uint64_t>>(export_of("measure"), image, numbers, sizes)),
            calls::measure(image, numbers, sizes));
  // 2^32 is no size_t of a guest.
  codec::Writer writer;
  codec::write_arguments(writer, Image(), std::vector<double>(),
                         std::vector<std::size_t>{std::size_t{1} << 32});
  auto reply = call_bytes(export_of("measure"), writer.segments()[0]);
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(std::get<Error>(reply.error()).code, Errc::protocol);
  ASSERT_EQ(services_.error_lines.size(), 1U);
  EXPECT_EQ(services_.error_lines[0],
            "aloft: the arguments of calls::measure do not decode: byte 19: an element that is "
            "outside its type's range");
}

TEST_F(Guest, points_at_large_results_where_they_lie) {
  Image image(64, 64, PixelFormat::gray8);
  for (std::size_t i = 0; i < 4096; ++i) image.mutable_pixels()[i] = static_cast<std::uint8_t>(i);
  const Image inverted = call<Image>(export_of("inverted"), image);
  EXPECT_EQ(segments_, 2U);
  EXPECT_TRUE(std::ranges::equal(inverted.pixels(), calls::inverted(image).pixels()));
  // The argument itself, out of the buffer it came in.
  EXPECT_TRUE(std::ranges::equal((call<Image>(export_of("same"), image)).pixels(), image.pixels()));
}

TEST_F(Guest, computes_the_same_bits) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> numbers(-1e6, 1e6);
  std::vector<double> a(1000);
  std::vector<double> b(1000);
  for (double& x : a) x = numbers(random);
  for (double& x : b) x = numbers(random);
  const double there = call<double>(export_of("dot"), a, b);
  EXPECT_EQ(std::bit_cast<std::uint64_t>(there), std::bit_cast<std::uint64_t>(calls::dot(a, b)));
}

TEST_F(Guest, lets_several_replies_live_at_once) {
  codec::Writer writer;
  codec::write_arguments(writer, 1, 2);
  const runtime::GuestBuffer buffer = put(writer.segments()[0]);
  std::vector<runtime::Reply> replies;
  for (int i = 0; i < 3; ++i) {
    replies.push_back(
        instance_->call(export_of("add"), buffer.address, 3, runtime::testing::soon()).value());
  }
  for (const std::size_t i : {1U, 0U, 2U}) {
    ASSERT_EQ(replies[i].segments.size(), 1U);
    EXPECT_EQ(replies[i].segments[0][0], std::byte{3});
    EXPECT_TRUE(instance_->release(replies[i].descriptor, runtime::testing::soon()).has_value());
  }
}

TEST_F(Guest, does_not_grow_with_calls) {
  const Image image(640, 480, PixelFormat::bgr8);
  codec::Writer writer;
  codec::write_arguments(writer, image);
  Bytes bytes;
  for (const auto segment : writer.segments())
    bytes.insert(bytes.end(), segment.begin(), segment.end());
  const runtime::GuestBuffer buffer = put(bytes);
  const std::string name = export_of("inverted");
  std::size_t after_some = 0;
  for (int i = 0; i < 200; ++i) {
    auto reply = instance_->call(name, buffer.address, static_cast<std::uint32_t>(bytes.size()),
                                 runtime::testing::soon());
    ASSERT_TRUE(reply.has_value());
    ASSERT_TRUE(instance_->release(reply->descriptor, runtime::testing::soon()).has_value());
    if (i == 10) after_some = instance_->memory().size();
  }
  EXPECT_EQ(instance_->memory().size(), after_some);
}

TEST_F(Guest, refuses_arguments_that_do_not_decode_and_lives_on) {
  const Bytes junk(5, std::byte{0xc1});
  auto reply = call_bytes(export_of("add"), junk);
  ASSERT_FALSE(reply.has_value());
  EXPECT_EQ(std::get<Error>(reply.error()).code, Errc::protocol);
  EXPECT_EQ(services_.error_lines.at(0),
            "aloft: the arguments of calls::add do not decode: byte 0: expected an array, found a "
            "tag that is not used here");
  EXPECT_EQ((call<int>(export_of("add"), 1, 1)), 2);
}

TEST_F(Guest, gives_no_buffer_that_memory_cannot_hold) {
  auto buffer = instance_->make_buffer(0xffffffff, runtime::testing::soon());
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(std::get<Error>(buffer.error()).code, Errc::resource_exhausted);
  auto usable = instance_->make_buffer(1000, runtime::testing::soon());
  ASSERT_TRUE(usable.has_value());
  EXPECT_EQ(usable->address % 16, 0U);
  EXPECT_TRUE(instance_->free_buffer(usable->address, runtime::testing::soon()).has_value());
}

TEST_F(Guest, says_why_it_gave_up) {
  trap(export_of("gives_up"), 7);
  ASSERT_EQ(services_.error_lines.size(), 1U);
  EXPECT_EQ(services_.error_lines[0], "aloft: call aborted: no use: 7");
}

TEST_F(Guest, says_what_the_library_found) {
  trap(export_of("out_of_range"), 3);
  ASSERT_EQ(services_.error_lines.size(), 1U);
  EXPECT_NE(services_.error_lines[0].find("out_of_range"), std::string::npos)
      << services_.error_lines[0];
}

TEST_F(Guest, traps_at_the_line_of_the_developer_s_file) {
  std::ifstream source(testing::source_dir() / "src/compiler/testdata/calls/calls.cc");
  int number = 1;
  for (std::string line;
       std::getline(source, line) && line.find("// where it traps") == std::string::npos;)
    ++number;
  const std::string text = trap(export_of("divides"), 1, 0).backtrace_text();
  const std::string where =
      "src/compiler/testdata/calls/calls.cc:" + std::to_string(number) + ":12";
  EXPECT_NE(text.find(where), std::string::npos) << where << " is not in\n" << text;
}

TEST_F(Guest, is_the_same_wherever_it_is_built) {
  const std::string text(reinterpret_cast<const char*>(file_.data()), file_.size());
  EXPECT_EQ(text.find(testing::source_dir().string()), std::string::npos);
  EXPECT_EQ(text.find(testing::binary_dir().string()), std::string::npos);
  // The same sources as another module, in another folder.
  const auto other = read_module("compiler_calls_lto");
  EXPECT_EQ(runtime::read_manifest(other).value()->content_sha256,
            module_->manifest()->content_sha256);
}

TEST_F(Guest, traps_when_its_stack_is_used_up) {
  EXPECT_EQ((call<int>(export_of("overflows_the_stack"), 100)), calls::overflows_the_stack(100));
  trap(export_of("overflows_the_stack"), 100000);
}

TEST_F(Guest, writes_to_the_caller_s_log) {
  EXPECT_EQ((call<int>(export_of("says"), std::string("hello"))), 0);
  ASSERT_EQ(services_.lines.size(), 1U);
  EXPECT_EQ(services_.lines[0], "hello");
}

}  // namespace
}  // namespace aloft::compiler
