// What the conformance tests of one program share: an edge in a process of its own, and a device
// bound to it that has the guest of one language. Started once for a program, since an edge
// compiles the module.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conformance.aloft.h"
#include "conformance.h"
#include "support/demo.h"
#include "support/raw_ue.h"
#include "support/temp_dir.h"
#include <aloft/function.h>
#include <aloft/runtime.h>

namespace aloft::testing {

// The language whose guest this program was linked with: also what conformance::language() answers
// there.
[[nodiscard]] const std::string& guest_language();
// Where its calls run: at an edge, or in this process, where the guest was translated for it.
[[nodiscard]] Place guest_place();
[[nodiscard]] inline Location guest_location() {
  return guest_place() == Place::here ? Location::here() : Location::edge(0);
}
[[nodiscard]] std::filesystem::path guest_module();

// Two edges and the device. Everything is there as long as any test runs.
class World {
 public:
  [[nodiscard]] static World& get();
  ~World();

  [[nodiscard]] Runtime& runtime() { return *runtime_; }
  [[nodiscard]] net::Address address() const { return {"127.0.0.1", edges_.front().port()}; }
  // The network behind conformance::doubling.
  [[nodiscard]] const std::filesystem::path& model_file() const { return model_file_; }
  [[nodiscard]] std::string transcripts();
  // Waits until a guest's line holds `text`.
  [[nodiscard]] bool wait_for_log(std::string_view text);

 private:
  World();

  TempDir folder_;
  std::filesystem::path model_file_ = folder_.path() / "doubling.onnx";
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::deque<DemoEdge> edges_;
  std::unique_ptr<Runtime> runtime_;
};

// A fixture; one that fails shows what the edges wrote. Calls of its thread run where the program's
// run.
class ConformanceTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (HasFailure()) std::cerr << World::get().transcripts() << "\n";
  }
  World& world_ = World::get();
  const PlaceScope scope_{guest_location()};
};

// That the call ended well, and where it had to.
template <class R>
[[nodiscard]] Result<R> result_at_place(Future<R>& call) {
  Result<R> result = call.get();
  if (result && call.record().place != guest_place())
    return fail(Errc::internal, "the call ran at another place");
  return result;
}

// Random values of every size: few bits as often as many, corner cases first.
class Random {
 public:
  template <class T>
  [[nodiscard]] T integer() {
    constexpr unsigned kBits = sizeof(T) * 8;
    const std::uint64_t bits = engine_() >> (engine_() % kBits + (64 - kBits));
    const auto value = static_cast<T>(bits);
    return engine_() % 2 == 0 ? value : static_cast<T>(~bits);
  }
  template <class T, class Bits>
  [[nodiscard]] T floating() {
    return std::bit_cast<T>(static_cast<Bits>(engine_()));
  }
  [[nodiscard]] bool boolean() { return engine_() % 2 == 0; }
  // Mostly short; one in a hundred needs a length of 16 bits, a few one of 32.
  [[nodiscard]] std::size_t length() {
    const std::uint64_t kind = engine_() % 400;
    if (kind == 0) return 65'536 + engine_() % 1000;
    if (kind < 4) return 256 + engine_() % 2000;
    return engine_() % 40;
  }
  // Any bytes, which need not be UTF-8.
  [[nodiscard]] std::string text() {
    std::string text(length(), '\0');
    for (char& c : text) c = static_cast<char>(engine_());
    return text;
  }
  [[nodiscard]] std::string word() { return text().substr(0, engine_() % 12); }

 private:
  std::mt19937_64 engine_{20261129};
};

// Equal, or both no number.
template <class T>
[[nodiscard]] bool same(const T& a, const T& b) {
  return a == b;
}
[[nodiscard]] inline bool same(float a, float b) { return a == b || (a != a && b != b); }
[[nodiscard]] inline bool same(double a, double b) { return a == b || (a != a && b != b); }
template <class T, std::size_t N>
[[nodiscard]] bool same(const std::array<T, N>& a, const std::array<T, N>& b) {
  return std::ranges::equal(a, b, [](const T& x, const T& y) { return same(x, y); });
}
[[nodiscard]] inline bool same(const std::vector<double>& a, const std::vector<double>& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return same(x, y); });
}

// Calls `call` (an asynchronous form) with the `corners` and with a thousand values that `make`
// makes, several at a time, and expects of each what `expected` says.
template <class Value, class Make, class Call, class Expected>
void expect_of_a_thousand(std::vector<Value> corners, const Make& make, const Call& call,
                          const Expected& expected) {
  constexpr std::size_t kAtATime = 16;
  constexpr std::size_t kRandom = 1000;
  Random random;
  struct Running {
    Value value;  // the call may refer to it
    decltype(call(std::declval<const Value&>())) future;
  };
  std::deque<Running> running;
  const auto finish_first = [&] {
    auto result = result_at_place(running.front().future);
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_TRUE(same(*result, expected(running.front().value)))
        << ::testing::PrintToString(running.front().value) << " gave "
        << ::testing::PrintToString(*result);
    running.pop_front();
  };
  for (std::size_t i = 0; i < corners.size() + kRandom; ++i) {
    running.push_back({i < corners.size() ? corners[i] : make(random), {}});
    running.back().future = call(running.back().value);
    if (running.size() == kAtATime) finish_first();
    if (::testing::Test::HasFatalFailure()) return;
  }
  while (!running.empty() && !::testing::Test::HasFatalFailure()) finish_first();
}

}  // namespace aloft::testing
