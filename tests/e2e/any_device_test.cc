// The same module for every kind of device: what it computes natively, on whatever processor this
// test is built for, and what its WebAssembly computes at an edge of this machine's are the same
// bits. `./dev test --only arm64` runs it on an emulated one.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "one_of_each.h"
#include "probe.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include "tally.h"
#include <aloft/call_record.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

class AnyDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    auto edge = DemoEdge::start(cache_.path());
    ASSERT_TRUE(edge) << edge.error().message;
    edge_.emplace(*std::move(edge));
    RuntimeOptions options;
    options.edges = {edge_->address()};
    options.call_timeout = 30s;  // a device that is emulated takes its time
    options.on_call = [this](const CallRecord& record) {
      ++(record.place == Place::edge ? at_edge_ : here_);
      if (record.fell_back || record.error) ++failed_;
    };
    auto runtime = Runtime::create(std::move(options));
    ASSERT_TRUE(runtime) << runtime.error().message;
    runtime_ = *std::move(runtime);
    // It has the modules of this very build, by their digests.
    const auto ready = runtime_->wait_for_edge(40s);
    ASSERT_TRUE(ready) << ready.error().message << edge_->process().transcript();
    bind(*runtime_);
  }
  void TearDown() override {
    if (HasFailure() && edge_) std::cerr << edge_->process().transcript() << "\n";
  }

  // `call` at both places.
  template <class Call>
  static auto both(const Call& call) {
    auto here = [&] {
      const PlaceScope scope(Place::here);
      return call();
    }();
    const PlaceScope scope(Place::edge);
    return std::pair(std::move(here), call());
  }
  // As many calls here as at the edge, and each where it was to be.
  void expect_as_many_there_as_here() const {
    EXPECT_GT(at_edge_.load(), 0);
    EXPECT_EQ(at_edge_.load(), here_.load());
    EXPECT_EQ(failed_.load(), 0);
  }

  std::atomic<int> at_edge_ = 0;
  std::atomic<int> here_ = 0;
  std::atomic<int> failed_ = 0;
  const TempDir cache_;
  std::optional<DemoEdge> edge_;
  std::unique_ptr<Runtime> runtime_;
  std::mt19937_64 random_{20261129};
};

TEST_F(AnyDevice, every_type_goes_there_and_back) {
  const probe::Everything all = one_of_each();
  const auto [here, there] = both([&] { return probe::echo(all); });
  EXPECT_EQ(here, all);
  EXPECT_EQ(there, all);
  expect_as_many_there_as_here();
}

TEST_F(AnyDevice, floating_point_numbers_are_the_same_to_the_last_bit) {
  std::uniform_real_distribution<double> between(-1e3, 1e3);
  for (int round = 0; round < 20; ++round) {
    std::vector<double> a(997);
    std::vector<double> b(997);
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = between(random_);
      b[i] = between(random_);
    }
    const auto [here, there] = both([&] { return probe::dot(a, b); });
    EXPECT_EQ(std::bit_cast<std::uint64_t>(here), std::bit_cast<std::uint64_t>(there));
  }
  expect_as_many_there_as_here();
}

TEST_F(AnyDevice, images_are_the_same_pixel_by_pixel) {
  Image image(160, 120, PixelFormat::rgb8);
  for (std::uint8_t& pixel : image.mutable_pixels()) pixel = static_cast<std::uint8_t>(random_());
  const auto [sum_here, sum_there] = both([&] { return probe::sum(image); });
  EXPECT_EQ(sum_here, sum_there);
  const auto [here, there] = both([&] { return probe::invert(image); });
  EXPECT_TRUE(std::ranges::equal(here.pixels(), there.pixels()));
  expect_as_many_there_as_here();
}

TEST_F(AnyDevice, an_object_goes_there_and_back_with_its_state) {
  tally::Tally tally;
  std::uint64_t sum = 0;
  for (std::uint64_t n = 1; n <= 30; ++n) {
    if (n % 10 == 1) {
      const auto moved = move_to(tally, n % 20 == 1 ? Location::edge() : Location::here());
      ASSERT_TRUE(moved) << moved.error().message;
    }
    const auto entry = tally.add(n);
    sum += n;
    EXPECT_EQ(entry.count, n);
    EXPECT_EQ(entry.sum, sum);
  }
}

}  // namespace
}  // namespace aloft::testing
