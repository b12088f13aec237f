// The tracker in WebAssembly against the tracker here: the same bits, and a state that goes from
// one to the other.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "detect.aloft.h"
#include "runtime/testing/fixture.h"
#include "test_paths.h"
#include "testing/street.h"
#include "tracker.h"
#include <aloft/codec.h>
#include <aloft/object.h>

namespace detect {
namespace {

using aloft::runtime::testing::soon;
using aloft::runtime::testing::text_of;
using detect::testing::Street;
using Bytes = std::vector<std::byte>;

Bytes joined(std::span<const std::span<const std::byte>> segments) {
  Bytes bytes;
  for (const auto segment : segments) bytes.insert(bytes.end(), segment.begin(), segment.end());
  return bytes;
}

std::unique_ptr<aloft::detail::NativeObject> native(Tracker& tracker) {
  return aloft::detail::ObjectAccess::called(tracker).native();
}

Bytes state_of(Tracker& tracker) {
  aloft::codec::Writer writer;
  native(tracker)->save(writer);
  return joined(writer.segments());
}

class GuestTracker : public aloft::runtime::testing::RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    std::ifstream in(aloft::testing::binary_dir() / "modules/detect.wasm", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    auto module = engine_->load(std::as_bytes(std::span(text)));
    ASSERT_TRUE(module) << module.error().message;
    module_ = *module;
    for (const auto& function : module_->manifest()->functions) {
      if (function.name == "detect::Tracker::update") update_ = function.export_name;
    }
    ASSERT_FALSE(update_.empty());
    begin_anew();
  }

  // Another instance, with a tracker that knows nobody.
  void begin_anew() {
    instance_ = nullptr;
    instance_ = instantiate(module_);
    ASSERT_NE(instance_, nullptr);
    const auto made = instance_->make_object(0, soon());
    ASSERT_TRUE(made) << text_of(made.error());
  }
  std::uint32_t put(const Bytes& bytes) {
    auto buffer = instance_->make_buffer(static_cast<std::uint32_t>(bytes.size()), soon());
    EXPECT_TRUE(buffer);
    if (!buffer) return 0;
    std::ranges::copy(bytes, buffer->bytes.begin());
    return buffer->address;
  }
  void load(const Bytes& state) {
    const std::uint32_t address = put(state);
    const auto loaded =
        instance_->load_state(address, static_cast<std::uint32_t>(state.size()), soon());
    ASSERT_TRUE(loaded) << text_of(loaded.error());
    ASSERT_TRUE(instance_->free_buffer(address, soon()));
  }
  Bytes saved() {
    auto reply = instance_->save_state(soon());
    EXPECT_TRUE(reply);
    if (!reply) return {};
    Bytes state = joined(reply->segments);
    EXPECT_TRUE(instance_->release(reply->descriptor, soon()));
    return state;
  }
  std::vector<Track> update(const std::vector<Detection>& detections) {
    aloft::codec::Writer writer;
    aloft::codec::write_arguments(writer, detections);
    const Bytes arguments = joined(writer.segments());
    const std::uint32_t address = put(arguments);
    auto reply =
        instance_->call(update_, address, static_cast<std::uint32_t>(arguments.size()), soon());
    EXPECT_TRUE(reply) << text_of(reply.error());
    if (!reply) return {};
    auto tracks = aloft::codec::decode<std::vector<Track>>(joined(reply->segments));
    EXPECT_TRUE(instance_->release(reply->descriptor, soon()));
    EXPECT_TRUE(instance_->free_buffer(address, soon()));
    return tracks.value();
  }

  std::shared_ptr<const aloft::runtime::Module> module_;
  std::unique_ptr<aloft::runtime::Instance> instance_;
  std::string update_;
};

TEST_F(GuestTracker, computes_the_same_bits_as_here) {
  Street street(11);
  Tracker here;
  std::uint64_t identities = 0;
  for (int frame = 0; frame < 300; ++frame) {
    const auto seen = street.next();
    const auto expected = here.update(seen);
    ASSERT_EQ(update(seen), expected) << "frame " << frame;
    ASSERT_EQ(saved(), state_of(here)) << "frame " << frame;
    for (const Track& track : expected) identities = std::max(identities, track.id);
  }
  EXPECT_GT(identities, 15U);
}

TEST_F(GuestTracker, takes_a_state_over_and_gives_it_back_without_anybody_noticing) {
  Street street(12);
  Tracker stays;
  auto moves = std::make_unique<Tracker>();
  bool is_here = true;
  for (int frame = 0; frame < 300; ++frame) {
    if (frame % 25 == 24) {
      if (is_here) {
        ASSERT_NO_FATAL_FAILURE(begin_anew());
        ASSERT_NO_FATAL_FAILURE(load(state_of(*moves)));
      } else {
        moves = std::make_unique<Tracker>();
        const auto loaded = native(*moves)->load(saved());
        ASSERT_TRUE(loaded) << loaded.error().message;
      }
      is_here = !is_here;
    }
    const auto seen = street.next();
    ASSERT_EQ(is_here ? moves->update(seen) : update(seen), stays.update(seen))
        << "frame " << frame;
  }
}

}  // namespace
}  // namespace detect
