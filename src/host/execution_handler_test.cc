#include "host/execution_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "function/coded_arguments.h"
#include "host/process/listening_socket.h"
#include "inference/testing/onnx_writer.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::host {
namespace {

using namespace std::chrono_literals;
using testing::arguments;
using ::testing::HasSubstr;
using testing::ModuleFile;
using testing::RawUe;

// A handler in the test's own process, over real sockets, with real modules.
class ExecutionHandlerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ExecutionHandlerOptions options;
    options.repository = testing::binary_dir() / "modules";
    options.cache = cache_.path();
    options.session.instance.memory_bytes = 64U << 20U;
    adjust(options);
    auto made = ExecutionHandler::create(options, {.hand_over = [] {}, .end = [] {}});
    ASSERT_TRUE(made) << made.error().message;
    handler_ = *std::move(made);
    auto socket = ListeningSocket::open({"127.0.0.1", 0});
    ASSERT_TRUE(socket) << socket.error().message;
    address_ = socket->address();
    const auto serving = handler_->serve(socket->duplicate());
    ASSERT_TRUE(serving) << serving.error().message;
  }
  virtual void adjust(ExecutionHandlerOptions&) {}
  // A module opened with one instance, that is two call streams.
  Result<RawUe::Module> open_one_instance(RawUe& ue, const ModuleFile& file) {
    if (!ue.wait_up(5s)) return fail(Errc::unreachable, "not up");
    return ue.open(file, {}, [](function::OpenModule& request) { request.concurrency = 1; });
  }

  testing::TempDir cache_;
  std::unique_ptr<ExecutionHandler> handler_;
  net::Address address_;
  const ModuleFile probe_{testing::binary_dir() / "modules/probe.wasm"};
  const ModuleFile hostile_{testing::binary_dir() / "modules/hostile.wasm"};
};

TEST_F(ExecutionHandlerTest, a_call_in_the_other_buffer_survives_the_end_of_its_instance) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, hostile_);
  ASSERT_TRUE(module) << module.error().message;
  ASSERT_EQ(module->streams.size(), 2U);
  for (int round = 0; round < 10; ++round) {
    const auto doomed =
        ue.start(*module, "hostile::loop_for_ever", arguments(1U), {.deadline = 100ms});
    const auto waiting = ue.start(*module, "hostile::answer", arguments(round));
    ASSERT_TRUE(doomed && waiting);
    EXPECT_EQ(ue.wait(*doomed).error(), Errc::deadline_exceeded);
    const auto answer = ue.wait(*waiting);
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<int>(), round + 1);
  }
}

TEST_F(ExecutionHandlerTest, a_buffer_grows_between_calls_and_stays_as_it_was_where_it_cannot) {
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module =
      ue.open(probe_, {}, [](function::OpenModule& request) { request.argument_bytes = 100; });
  ASSERT_TRUE(module) << module.error().message;
  for (const std::size_t size : {10U, 1000U, 100'000U, 3'000'000U, 10U}) {
    const std::string text(size, 'x');
    const auto answer = ue.call(*module, "probe::join", arguments(text, "!"));
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_EQ(answer.get<std::string>(), text + "!");
  }
  const auto too_large =
      ue.call(*module, "probe::join", arguments(std::string(100U << 20U, 'x'), "!"));
  EXPECT_EQ(too_large.error(), Errc::resource_exhausted);
  EXPECT_EQ(ue.call(*module, "probe::join", arguments("a", "b")).get<std::string>(), "ab");
}

TEST_F(ExecutionHandlerTest, a_call_that_is_given_up_ends_whether_it_runs_or_waits) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, hostile_);
  ASSERT_TRUE(module) << module.error().message;
  const auto running = ue.start(*module, "hostile::loop_for_ever", arguments(1U));
  const auto waiting = ue.start(*module, "hostile::loop_for_ever", arguments(1U));
  ASSERT_TRUE(running && waiting);
  ue.cancel(*waiting);
  ue.cancel(*running);
  EXPECT_EQ(ue.wait(*running, 2s).error(), Errc::cancelled);
  EXPECT_EQ(ue.wait(*waiting, 2s).error(), Errc::cancelled);
  EXPECT_EQ(ue.call(*module, "hostile::answer", arguments(1)).get<int>(), 2);
}

TEST_F(ExecutionHandlerTest, a_ue_that_vanishes_in_mid_call_leaves_nothing_running) {
  {
    RawUe ue(address_);
    const auto module = open_one_instance(ue, hostile_);
    ASSERT_TRUE(module) << module.error().message;
    ASSERT_TRUE(ue.start(*module, "hostile::loop_for_ever", arguments(1U)));
  }
  // Waits for all that runs: long before the call's own limit of 10 s.
  const auto started = std::chrono::steady_clock::now();
  handler_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, 3s);
}

TEST_F(ExecutionHandlerTest, a_guest_that_prints_much_is_cut_short_and_said_so) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  const auto answer = ue.call(*module, "probe::speak", arguments(5000));
  ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
  const auto log = ue.log();
  EXPECT_EQ(log.size(), 201U);
  EXPECT_THAT(log.back().line, HasSubstr("the rest is dropped"));
}

TEST_F(ExecutionHandlerTest,
       a_function_that_was_not_opened_is_refused_and_its_stream_stays_of_use) {
  RawUe ue(address_);
  ASSERT_TRUE(ue.wait_up(5s));
  const auto module = ue.open(probe_, {}, [](function::OpenModule& request) {
    request.functions.resize(1);
    request.concurrency = 1;
  });
  ASSERT_TRUE(module) << module.error().message;
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(ue.call(*module, "probe::grind", arguments(1U)).error(), Errc::invalid_argument);
  }
}

// --- Encoded pictures

// A call of one picture as a UE sends it, encoded.
struct Encoded {
  explicit Encoded(const Image& image) {
    codec::Writer writer;
    codec::write_arguments(writer, image);
    const auto coded = function::CodedArguments::encode(writer, {ImageFormat::jpeg, 95});
    for (const auto segment : coded.value().segments())
      body.insert(body.end(), segment.begin(), segment.end());
    options.pictures = coded->pictures();
    options.argument_bytes = coded->argument_bytes();
  }
  std::vector<std::byte> body;
  testing::RawCallOptions options;
};

Image slope(std::uint32_t width, std::uint32_t height) {
  Image image(width, height, PixelFormat::gray8);
  std::uint32_t i = 0;
  for (std::uint8_t& value : image.mutable_pixels())
    value = static_cast<std::uint8_t>(40 + i++ % width * 150 / width);
  return image;
}

// What is said at the edge's door and what is decoded there, both taken for hostile.
class HostilePicture : public ExecutionHandlerTest {
 protected:
  void adjust(ExecutionHandlerOptions& options) override { options.ends.bytes = kRoom; }
  static constexpr std::uint64_t kRoom = 256U << 10U;
};

TEST_F(ExecutionHandlerTest, an_encoded_picture_is_decoded_before_the_guest_sees_it) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  for (const std::uint32_t width : {320U, 64U, 1600U}) {  // larger ones make the buffer grow
    const Image image = slope(width, 1200);
    const Encoded call(image);
    EXPECT_LT(call.body.size(), image.pixels().size() / 4);
    const auto answer = ue.call(*module, "probe::invert", call.body, call.options);
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_GT(answer.head.decode_us, 0U);
    const Image inverted = answer.get<Image>();
    ASSERT_EQ(inverted.width(), width);
    ASSERT_EQ(inverted.pixels().size(), image.pixels().size());
    double difference = 0;
    for (std::size_t i = 0; i < image.pixels().size(); ++i)
      difference += std::abs(255 - inverted.pixels()[i] - image.pixels()[i]);
    EXPECT_LT(difference / static_cast<double>(image.pixels().size()), 3);
  }
  // One as it is, between them, is as ever.
  const Image image = slope(64, 64);
  const auto raw = ue.call(*module, "probe::invert", arguments(image));
  EXPECT_EQ(raw.head.decode_us, 0U);
  EXPECT_EQ(raw.get<Image>().pixels()[0], 255 - image.pixels()[0]);
}

TEST_F(ExecutionHandlerTest, an_encoded_picture_survives_the_end_of_the_instance_it_was_sent_to) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  const Image image = slope(200, 200);
  for (int round = 0; round < 5; ++round) {
    const auto doomed =
        ue.start(*module, "probe::grind", arguments(4'000'000'000U), {.deadline = 50ms});
    const Encoded call(image);
    const auto waiting = ue.start(*module, "probe::sum", call.body, call.options);
    ASSERT_TRUE(doomed && waiting);
    EXPECT_EQ(ue.wait(*doomed).error(), Errc::deadline_exceeded);
    const auto answer = ue.wait(*waiting);
    ASSERT_EQ(answer.error(), std::nullopt) << answer.head.error->message;
    EXPECT_GT(answer.get<std::uint64_t>(), 0U);
  }
}

TEST_F(HostilePicture, of_any_kind_ends_its_own_call_and_no_more) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  const Encoded good(slope(640, 480));
  const auto call = [&](const auto& spoil) {
    Encoded spoiled = good;
    spoil(spoiled);
    const auto answer = ue.call(*module, "probe::sum", spoiled.body, spoiled.options);
    const auto after = ue.call(*module, "probe::sum", good.body, good.options);
    EXPECT_EQ(after.error(), std::nullopt);
    return answer.error();
  };
  const auto frame_of = [](Encoded& e) {
    for (std::size_t i = 0; i + 1 < e.body.size(); ++i) {
      if (e.body[i] == std::byte{0xff} && e.body[i + 1] == std::byte{0xc0}) return i + 2;
    }
    return std::size_t{0};
  };
  // What the picture says of itself.
  EXPECT_EQ(call([&](Encoded& e) {
              for (const std::size_t i : {3U, 4U, 5U, 6U})
                e.body[frame_of(e) + i] = std::byte{0xfe};
            }),
            Errc::corrupt);
  EXPECT_EQ(call([&](Encoded& e) { e.body[frame_of(e) - 1] = std::byte{0xc2}; }), Errc::corrupt);
  EXPECT_EQ(
      call([&](Encoded& e) { std::ranges::fill(std::span(e.body).subspan(100), std::byte{}); }),
      Errc::corrupt);
  EXPECT_EQ(call([&](Encoded& e) { std::ranges::fill(std::span(e.body).last(2000), std::byte{}); }),
            Errc::corrupt);
  // What the head says of it.
  EXPECT_EQ(call([&](Encoded& e) { e.options.pictures[0].width = 480; }), Errc::invalid_argument);
  EXPECT_EQ(call([&](Encoded& e) {
              std::swap(e.options.pictures[0].width, e.options.pictures[0].height);
            }),
            Errc::corrupt);
  EXPECT_EQ(call([&](Encoded& e) { e.options.pictures[0].codec = "webp"; }), Errc::refused);
  EXPECT_EQ(call([&](Encoded& e) { e.options.pictures[0].at = ~std::uint64_t{0}; }),
            Errc::invalid_argument);
  EXPECT_EQ(call([&](Encoded& e) { e.options.pictures[0].size += 1; }), Errc::invalid_argument);
  EXPECT_EQ(call([&](Encoded& e) { e.body.push_back(std::byte{}); }), Errc::invalid_argument);
}

TEST_F(HostilePicture, arguments_beyond_the_buffer_are_refused_before_they_are_received) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  Encoded large(Image(2500, 2500, PixelFormat::gray8));
  ASSERT_LT(large.body.size(), kRoom);
  large.options.room = large.body.size();
  EXPECT_EQ(ue.call(*module, "probe::sum", large.body, large.options).error(),
            Errc::resource_exhausted);
  large.options.room = 0;  // with as much as it needs it is taken
  EXPECT_EQ(ue.call(*module, "probe::sum", large.body, large.options).error(), std::nullopt);
}

TEST_F(HostilePicture, more_bodies_than_there_is_room_for_are_overloaded) {
  RawUe ue(address_);
  const auto module = open_one_instance(ue, probe_);
  ASSERT_TRUE(module) << module.error().message;
  Image noise(1024, 1024, PixelFormat::gray8);
  std::uint32_t state = 1;
  for (std::uint8_t& value : noise.mutable_pixels())
    value = static_cast<std::uint8_t>((state = state * 1664525U + 1013904223U) >> 25U);
  const Encoded large(noise);
  ASSERT_GT(large.body.size(), kRoom);
  EXPECT_EQ(ue.call(*module, "probe::sum", large.body, large.options).error(), Errc::overloaded);
  const Encoded good(slope(640, 480));
  for (int round = 0; round < 20; ++round)  // what was taken is given back
    EXPECT_EQ(ue.call(*module, "probe::sum", good.body, good.options).error(), std::nullopt);
}

}  // namespace
}  // namespace aloft::host
