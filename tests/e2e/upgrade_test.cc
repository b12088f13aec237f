// Hot upgrade: a running program whose edges take a new version of its module, while it calls. The
// edges are Execution Handlers in this process, over TCP, with real guests.
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/execution_handler.h"
#include "host/process/listening_socket.h"
#include "support/temp_dir.h"
#include "tally.aloft.h"
#include "tally.h"
#include "test_paths.h"
#include <aloft/channel.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kSoon = 60s;  // also for a machine that does other things

std::filesystem::path module_file(int version) {
  const std::string number = version == 1 ? "" : "_" + std::to_string(version);
  return binary_dir() / ("modules/tally" + number + ".wasm");
}

// An edge that has two versions of the module open at a time, and no more.
class Edge {
 public:
  explicit Edge(const std::filesystem::path& repository, net::Address at = {"127.0.0.1", 0}) {
    host::ExecutionHandlerOptions options;
    options.repository = repository;
    options.cache = cache_.path();
    options.session.modules = 2;
    options.session.instances = 2;
    options.session.call = kSoon;
    options.session.instance.memory_bytes = 16U << 20U;
    auto made =
        host::ExecutionHandler::create(std::move(options), {.hand_over = [] {}, .end = [] {}});
    if (!made) ADD_FAILURE() << made.error().message;
    handler_ = std::move(made).value();
    auto socket = host::ListeningSocket::open(at);
    if (!socket) ADD_FAILURE() << socket.error().message;
    address_ = socket->address();
    EXPECT_TRUE(handler_->serve(socket->duplicate()));
  }
  [[nodiscard]] const net::Address& address() const { return address_; }

 private:
  TempDir cache_;
  std::unique_ptr<host::ExecutionHandler> handler_;
  net::Address address_;
};

class HotUpgrade : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const int version : {1, 2, 3, 4, 5}) {
      std::filesystem::copy_file(module_file(version),
                                 repository_ / (std::to_string(version) + ".wasm"));
    }
  }
  void TearDown() override { runtime_.reset(); }

  void connect(std::vector<std::string> edges) {
    RuntimeOptions options;
    options.edges = std::move(edges);
    options.policy = remote_policy();
    options.call_timeout = kSoon;
    options.log_level = LogLevel::warning;
    auto made = Runtime::create(std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
  }
  void connect_to(const Edge& edge) {
    connect({edge.address().to_string()});
    const auto ready = runtime_->wait_for_edge(kSoon);
    ASSERT_TRUE(ready) << ready.error().message;
  }
  Result<UpgradeReport> upgrade(int version, UpgradeOptions options = {.timeout = kSoon}) {
    return runtime_->upgrade("tally", module_file(version), options);
  }
  void expect_upgraded(int version, std::size_t edges = 1) {
    const auto upgraded = upgrade(version);
    ASSERT_TRUE(upgraded) << upgraded.error().message;
    EXPECT_EQ(upgraded->edges, edges);
  }
  // At an edge.
  static std::uint32_t version_called() {
    const PlaceScope at_the_edge(Place::edge);
    return tally::version(0);
  }

  TempDir repository_;
  std::unique_ptr<Runtime> runtime_;
};

TEST_F(HotUpgrade, calls_switch_to_the_new_version_and_none_is_lost) {
  const Edge edge(repository_.path());
  connect_to(edge);
  std::atomic<std::uint64_t> calls = 0;
  std::atomic<std::uint64_t> others = 0;
  std::atomic<std::uint32_t> at_least = 1;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          const std::uint32_t least = at_least;
          const std::uint32_t answer = version_called();
          // While one is upgraded either is right; a call made after that is the new one's.
          if (answer != 1 && answer != 2) ++others;
          if (least == 2 && at_least == 2 && answer != 2) ++others;
          ++calls;
        }
      });
    }
    // Versions that piled up would soon be more than the edge opens.
    for (int i = 0; i < 6; ++i) {
      const int next = i % 2 == 0 ? 2 : 1;
      if (next == 1) at_least = 1;
      // A caller that had no processor may be at the version before the last one still.
      auto upgraded = upgrade(next);
      while (!upgraded && upgraded.error().code == Errc::overloaded) upgraded = upgrade(next);
      ASSERT_TRUE(upgraded) << upgraded.error().message;
      if (next == 2) at_least = 2;
      const std::uint64_t seen = calls;
      while (calls < seen + 20 && !HasFailure()) std::this_thread::yield();
    }
  }
  EXPECT_EQ(others, 0U);
  EXPECT_EQ(version_called(), 1U);
  EXPECT_TRUE(runtime_->edge_ready());
}

TEST_F(HotUpgrade, a_call_ends_at_the_version_that_it_began_at_which_is_closed_then) {
  const Edge edge(repository_.path());
  connect_to(edge);
  expect_upgraded(2);
  expect_upgraded(1);  // both are compiled now
  auto slow = tally::spin_async(400'000'000);
  expect_upgraded(2);
  EXPECT_FALSE(slow.ready()) << "it was to be under way still";
  EXPECT_EQ(version_called(), 2U);
  // Its version is open still, and the edge opens no third one.
  const auto refused = upgrade(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded) << refused.error().message;
  EXPECT_EQ(version_called(), 2U);
  const auto spun = slow.get();
  ASSERT_TRUE(spun) << spun.error().message;
  EXPECT_EQ(spun->version, 1U);
  expect_upgraded(1);
  EXPECT_EQ(version_called(), 1U);
}

TEST_F(HotUpgrade, objects_and_channels_go_on_with_their_state_and_order) {
  const Edge edge(repository_.path());
  connect_to(edge);
  tally::Tally tally;
  ASSERT_TRUE(move_to(tally, Location::edge()));
  auto channel =
      Channel<std::uint32_t, std::uint32_t>::open(&tally::version, {.start = Location::edge()});
  ASSERT_TRUE(channel) << channel.error().message;
  std::atomic<std::uint64_t> count = 0;
  std::atomic<bool> wrong = false;
  std::atomic<std::uint32_t> highest = 0;
  {
    std::jthread caller([&](const std::stop_token& stop) {
      std::uint64_t sum = 0;
      while (!stop.stop_requested()) {
        const std::uint64_t next = count + 1;
        sum += next;
        const tally::Entry entry = tally.add(next);
        if (entry.count != next || entry.sum != sum || entry.version < highest) wrong = true;
        highest = entry.version;
        count = next;
      }
    });
    while (count < 20) std::this_thread::yield();
    EXPECT_EQ(highest, 1U);
    const auto upgraded = upgrade(2);
    ASSERT_TRUE(upgraded) << upgraded.error().message;
    EXPECT_EQ(upgraded->carried, 2U);
    const std::uint64_t seen = count;
    while (count < seen + 20) std::this_thread::yield();
  }
  EXPECT_FALSE(wrong);
  EXPECT_EQ(highest, 2U);
  ASSERT_TRUE(channel->send(0));
  const auto answer = channel->receive(kSoon);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->result.value_or(0), 2U);
  // Here it is what the program was built with, with the same state; and back there, the new one.
  ASSERT_TRUE(move_to(tally, Location::here()));
  const tally::Entry here = tally.add(1);
  EXPECT_EQ(here.version, 1U);
  EXPECT_EQ(here.count, count + 1);
  ASSERT_TRUE(move_to(tally, Location::edge()));
  const tally::Entry there = tally.add(1);
  EXPECT_EQ(there.version, 2U);
  EXPECT_EQ(there.sum, here.sum + 1);
}

TEST_F(HotUpgrade, a_version_that_cannot_serve_leaves_the_old_one_serving) {
  const Edge edge(repository_.path());
  connect_to(edge);
  tally::Tally tally;
  ASSERT_TRUE(move_to(tally, Location::edge()));
  std::uint64_t count = 0;
  const auto expect_version = [&](std::uint32_t version) {
    EXPECT_EQ(version_called(), version);
    const tally::Entry entry = tally.add(1);
    EXPECT_EQ(entry.version, version);
    EXPECT_EQ(entry.sum, ++count);
  };
  const auto expect_failure = [&](const Result<UpgradeReport>& upgraded, Errc code,
                                  const std::string& text) {
    ASSERT_FALSE(upgraded);
    EXPECT_EQ(upgraded.error().code, code) << upgraded.error().message;
    EXPECT_THAT(upgraded.error().message, HasSubstr("goes on as it was"));
    EXPECT_THAT(upgraded.error().message, HasSubstr(text));
  };
  expect_version(1);
  expect_failure(upgrade(3), Errc::signature_mismatch, "tally::Tally");
  expect_version(1);
  expect_failure(upgrade(4), Errc::trapped, "");
  expect_version(1);
  // Opens, and fails the first object that it is to take.
  expect_failure(upgrade(5), Errc::trapped, "");
  expect_version(1);
  std::filesystem::remove(repository_ / "2.wasm");
  expect_failure(upgrade(2), Errc::not_found, "");
  expect_version(1);
  EXPECT_EQ(runtime_->upgrade("tally", repository_ / "none.wasm").error().code, Errc::not_found);
  EXPECT_EQ(runtime_->upgrade("other", module_file(2)).error().code, Errc::invalid_argument);
  std::filesystem::copy_file(module_file(2), repository_ / "again.wasm");
  expect_upgraded(2);
  expect_version(2);
  EXPECT_TRUE(runtime_->edge_ready());
}

TEST_F(HotUpgrade, an_edge_that_comes_later_takes_the_version_of_the_others) {
  const Edge first(repository_.path());
  auto second = std::make_unique<Edge>(repository_.path());
  const net::Address address = second->address();
  connect({first.address().to_string(), address.to_string()});
  ASSERT_TRUE(runtime_->wait_for_edge(kSoon, 0));
  ASSERT_TRUE(runtime_->wait_for_edge(kSoon, 1));
  tally::Tally tally;
  ASSERT_TRUE(move_to(tally, Location::edge(1)));
  EXPECT_EQ(tally.add(1).version, 1U);
  second.reset();
  while (runtime_->edge_ready(1)) std::this_thread::yield();
  expect_upgraded(2);
  EXPECT_EQ(tally.add(1).sum, 2U);  // recovered somewhere
  second = std::make_unique<Edge>(repository_.path(), address);
  const auto back = runtime_->wait_for_edge(kSoon, 1);
  ASSERT_TRUE(back) << back.error().message;
  {
    const PlaceScope there(Location::edge(1));
    EXPECT_EQ(tally::version(0), 2U);
  }
  ASSERT_TRUE(move_to(tally, Location::edge(1)));
  const tally::Entry entry = tally.add(1);
  EXPECT_EQ(entry.version, 2U);
  EXPECT_EQ(entry.sum, 3U);
}

TEST_F(HotUpgrade, here_is_always_the_version_that_was_built_in_unless_it_is_not_to_stand_in) {
  auto edge = std::make_unique<Edge>(repository_.path());
  connect_to(*edge);
  expect_upgraded(2);
  {
    const PlaceScope here(Place::here);
    EXPECT_EQ(tally::version(0), 1U);
  }
  EXPECT_THAT(runtime_->module_digest("tally"), HasSubstr("sha256:"));
  ASSERT_TRUE(upgrade(2, {.timeout = kSoon, .fallback = Fallback::none}));
  edge.reset();
  while (runtime_->edge_ready()) std::this_thread::yield();
  const PlaceScope there(Place::edge);
  EXPECT_THROW((void)tally::version(0), CallFailed);
  const auto nobody = upgrade(1);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, Errc::unreachable) << nobody.error().message;
}

}  // namespace
}  // namespace aloft::testing
