// A device in a cluster: managers that come and go, hosts that are moved from and lost, and a
// program that calls all the while. The managers are scripted, over real gRPC; hosts, links and
// tickets are real.
#include <atomic>
#include <deque>
#include <optional>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger.aloft.h"
#include "ledger.h"
#include "support/relay.h"
#include "support/scripted_cluster.h"
#include <aloft/cluster.h>
#include <aloft/object.h>
#include <aloft/runtime.h>

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr auto kPatience = 30s;

std::uint32_t amount_of(std::uint64_t number) {
  return static_cast<std::uint32_t>(number * 2654435761U % 1000);
}

class ClusterDevice : public ::testing::Test {
 protected:
  ~ClusterDevice() override {
    if (HasFailure()) {
      const std::lock_guard lock(mutex_);
      for (const std::string& line : lines_) std::cerr << "  " << line << '\n';
    }
  }

  ClusterOptions cluster_options() const {
    const auto tenant = cluster_.issue(identity::Role::tenant, "default");
    ClusterOptions made;
    for (const auto& manager : managers_) made.managers.push_back(manager->address());
    made.authority = cluster_.authority().certificate_pem();
    made.certificate = tenant.certificate_pem;
    made.key = tenant.key_pem;
    return made;
  }
  void start_managers(std::size_t count,
                      ScriptedManager::Clients clients = ScriptedManager::Clients::certificates) {
    for (std::size_t i = 0; i < count; ++i)
      managers_.push_back(std::make_unique<ScriptedManager>(cluster_, clients));
  }
  ScriptedHost& start_host(const std::string& name) {
    hosts_.push_back(std::make_unique<ScriptedHost>(cluster_, name));
    return *hosts_.back();
  }
  void set_places() {
    std::vector<ScriptedCluster::Place> places;
    for (const auto& host : hosts_) {
      if (host != nullptr) places.push_back(host->place());
    }
    cluster_.set_places(std::move(places));
  }
  // A cluster of so many hosts and managers.
  void start_cluster(std::size_t hosts, std::size_t managers) {
    for (std::size_t i = 1; i <= hosts; ++i) start_host("h" + std::to_string(i));
    set_places();
    start_managers(managers);
  }
  void start_runtime(ClusterOptions options) {
    auto cluster = join_cluster(std::move(options));
    ASSERT_TRUE(cluster) << cluster.error().message;
    RuntimeOptions wanted;
    wanted.cluster = *cluster;
    wanted.policy = remote_policy();
    wanted.call_timeout = 60s;
    wanted.on_call = [this](const CallRecord& record) {
      ++calls_;
      // But for what this test computes itself, to compare.
      if (record.reason.code() == ReasonCode::asked_for) return;
      if (record.place != Place::edge || record.fell_back) ++not_at_edge_;
      if (record.error) ++failed_;
    };
    wanted.log_level = LogLevel::debug;
    wanted.log = [this](LogLevel, std::string_view line) {
      const std::lock_guard lock(mutex_);
      if (line.find(", call ") == std::string_view::npos) lines_.emplace_back(line);
    };
    auto made = Runtime::create(std::move(wanted));
    ASSERT_TRUE(made) << made.error().message;
    runtime_ = *std::move(made);
    bind(*runtime_);
  }
  void start_ready() {
    ASSERT_NO_FATAL_FAILURE(start_runtime(cluster_options()));
    const auto ready = runtime_->wait_for_edge(kPatience);
    ASSERT_TRUE(ready) << ready.error().message;
  }
  // Which of the runtime's two edges calls go to.
  [[nodiscard]] Location call_once() {
    auto future = ledger::stamp_async(1);
    EXPECT_EQ(future.get().value_or(ledger::Stamp{}), stamp_here(1));
    return future.record().location;
  }
  // Calls until one ran at an edge; false after kPatience.
  [[nodiscard]] bool call_until_at_edge() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (!call_once().is_here()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  [[nodiscard]] static ledger::Stamp stamp_here(std::uint64_t number) {
    const PlaceScope scope(Place::here);
    return ledger::stamp(number);
  }
  [[nodiscard]] std::string log() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : lines_) all += line + "\n";
    return all;
  }
  // Until the session is at a host, by what the runtime says.
  [[nodiscard]] bool wait_for_line(const std::string& words) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (log().find(words) != std::string::npos) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }

  ScriptedCluster cluster_;
  std::vector<std::unique_ptr<ScriptedHost>> hosts_;
  std::vector<std::unique_ptr<ScriptedManager>> managers_;
  std::atomic<std::uint64_t> calls_ = 0;
  std::atomic<std::uint64_t> not_at_edge_ = 0;
  std::atomic<std::uint64_t> failed_ = 0;
  std::mutex mutex_;
  std::vector<std::string> lines_;
  std::unique_ptr<Runtime> runtime_;
};

// Calls all the time, of a pure function and of an object, some of each under way.
class Caller {
 public:
  explicit Caller(ledger::Ledger& ledger) : ledger_(ledger) {
    thread_ = std::jthread([this](const std::stop_token& stop) { call(stop); });
  }
  void stop() {
    thread_.request_stop();
    thread_.join();
  }
  // Of the object's answers: the whole run, as it would have been without any move.
  void expect_unmoved() const {
    ledger::Ledger unmoved;
    unbind();
    for (const ledger::Receipt& receipt : receipts_)
      ASSERT_EQ(receipt, unmoved.record(receipt.number, amount_of(receipt.number)));
    EXPECT_EQ(unmoved.audit(), ledger_.audit());
  }
  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  [[nodiscard]] bool wait_for_more(std::uint64_t more) const {
    const std::uint64_t wanted = answers_ + more;
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (answers_ < wanted && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(1ms);
    return answers_ >= wanted;
  }
  std::atomic<std::uint64_t> wrong = 0;

 private:
  void call(const std::stop_token& stop) {
    constexpr std::size_t kUnderWay = 4;
    std::deque<Future<ledger::Receipt>> receipts;
    std::deque<std::pair<std::uint64_t, Future<ledger::Stamp>>> stamps;
    std::uint64_t next = 0;
    while (!stop.stop_requested() || !receipts.empty()) {
      while (receipts.size() < kUnderWay && !stop.stop_requested()) {
        ++next;
        receipts.push_back(record_async(ledger_, next, amount_of(next)));
        stamps.emplace_back(next, ledger::stamp_async(next));
      }
      if (receipts.empty()) break;
      const auto receipt = receipts.front().get();
      receipts.pop_front();
      if (receipt) receipts_.push_back(*receipt);
      const auto stamp = stamps.front().second.get();
      if (!receipt || !stamp || *stamp != sealed(stamps.front().first)) ++wrong;
      stamps.pop_front();
      ++answers_;
    }
  }
  static ledger::Stamp sealed(std::uint64_t number) {
    const PlaceScope scope(Place::here);
    return ledger::stamp(number);
  }

  ledger::Ledger& ledger_;
  std::vector<ledger::Receipt> receipts_;
  std::atomic<std::uint64_t> answers_ = 0;
  std::jthread thread_;
};

TEST_F(ClusterDevice, calls_go_to_the_host_that_the_cluster_gives) {
  start_cluster(1, 1);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(call_once().is_here());
  EXPECT_EQ(cluster_.heard().opens, 1);
  EXPECT_EQ(runtime_->edge_count(), 2U);
  runtime_.reset();
  EXPECT_EQ(cluster_.heard().closes, 1);
  EXPECT_EQ(cluster_.sessions(), 0U);
}

TEST_F(ClusterDevice, a_token_is_enough_and_the_key_for_hosts_is_then_its_own) {
  start_host("h1");
  set_places();
  start_managers(1, ScriptedManager::Clients::tokens);
  ClusterOptions options = cluster_options();
  options.certificate.clear();
  options.key.clear();
  options.token = "header.claims.signature";
  ASSERT_NO_FATAL_FAILURE(start_runtime(std::move(options)));
  const auto ready = runtime_->wait_for_edge(kPatience);
  ASSERT_TRUE(ready) << ready.error().message;
  EXPECT_FALSE(call_once().is_here());
  EXPECT_THAT(cluster_.heard().tokens, ::testing::ElementsAre("Bearer header.claims.signature"));
}

TEST_F(ClusterDevice, moves_between_hosts_with_calls_under_way_lose_nothing) {
  start_cluster(2, 1);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  ledger::Ledger ledger;
  const auto moved = move_to(ledger, Location::edge());
  ASSERT_TRUE(moved) << moved.error().message;
  Caller caller(ledger);
  for (int i = 1; i <= 6; ++i) {
    ASSERT_TRUE(caller.wait_for_more(30));
    const std::string host = i % 2 == 1 ? "h2" : "h1";
    cluster_.move_all(host);
    ASSERT_TRUE(wait_for_line("the session is at host " + host + " (" +
                              hosts_[i % 2 == 1 ? 1 : 0]->place().address + "), placement " +
                              std::to_string(i + 1) + " "));
  }
  ASSERT_TRUE(caller.wait_for_more(30));
  caller.stop();
  EXPECT_EQ(caller.wrong, 0U);
  EXPECT_EQ(failed_, 0U);
  EXPECT_EQ(not_at_edge_, 0U) << "of " << calls_ << " calls";
  caller.expect_unmoved();
}

TEST_F(ClusterDevice, calls_go_on_while_managers_die_and_another_one_keeps_the_session) {
  cluster_.set_lifetime(300ms);
  start_cluster(1, 2);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  const auto renewed = [&] {
    const int before = cluster_.heard().renewals;
    return cluster_.wait_until([&](const auto& heard) { return heard.renewals > before; });
  };
  ASSERT_TRUE(renewed());
  // Each of them in turn: one of the two was in use.
  for (std::size_t dead : {0U, 1U}) {
    managers_[dead].reset();
    EXPECT_FALSE(call_once().is_here());
    ASSERT_TRUE(dead == 1 || renewed()) << "the other one is not asked";
  }
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(call_once().is_here());
  EXPECT_EQ(not_at_edge_, 0U);
}

TEST_F(ClusterDevice, a_link_that_is_lost_comes_back_though_every_manager_is_dead) {
  ScriptedHost& host = start_host("h1");
  Relay relay(host.port());
  ScriptedCluster::Place place = host.place();
  place.address = "127.0.0.1:" + std::to_string(relay.port());
  cluster_.set_places({place});
  start_managers(1);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  managers_.clear();
  EXPECT_FALSE(call_once().is_here());
  relay.cut();
  EXPECT_TRUE(call_until_at_edge());
}

TEST_F(ClusterDevice, a_host_that_is_lost_is_left_for_another_one) {
  start_cluster(2, 1);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  ledger::Ledger ledger;
  ASSERT_TRUE(move_to(ledger, Location::edge()));
  Caller caller(ledger);
  ASSERT_TRUE(caller.wait_for_more(30));
  hosts_[0].reset();
  ASSERT_TRUE(wait_for_line("the session is at host h2"));
  ASSERT_TRUE(caller.wait_for_more(30));
  EXPECT_TRUE(call_until_at_edge());
  EXPECT_THAT(cluster_.heard().avoided, ::testing::ElementsAre("h1"));
  caller.stop();
  EXPECT_EQ(caller.wrong, 0U);
  EXPECT_EQ(failed_, 0U);
  caller.expect_unmoved();
}

TEST_F(ClusterDevice, a_device_that_is_refused_is_told_so_at_once) {
  start_cluster(1, 1);
  cluster_.admit_if([] {
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED,
                        "no module of that name for 'default'");
  });
  ASSERT_NO_FATAL_FAILURE(start_runtime(cluster_options()));
  const auto ready = runtime_->wait_for_edge(kPatience);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, Errc::refused);
  EXPECT_THAT(ready.error().message, HasSubstr("no module of that name"));
  EXPECT_TRUE(call_once().is_here());
}

TEST_F(ClusterDevice, an_overloaded_cluster_is_asked_again_when_it_said) {
  start_cluster(1, 1);
  std::atomic<int> left = 3;
  cluster_.admit_if([&] {
    return left-- > 0 ? grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many sessions")
                      : grpc::Status::OK;
  });
  ASSERT_NO_FATAL_FAILURE(start_ready());
  EXPECT_EQ(cluster_.heard().opens, 4);
}

TEST_F(ClusterDevice, of_two_clusters_the_closest_that_accepts_gets_the_session) {
  for (const bool near_accepts : {true, false}) {
    ScriptedCluster near("near");
    ScriptedCluster far("far");
    far.set_ping_delay(50ms);
    near.admit_if([=] {
      return near_accepts ? grpc::Status::OK
                          : grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "no room");
    });
    const ScriptedHost near_host(near, "n1");
    const ScriptedHost far_host(far, "f1");
    near.set_places({near_host.place()});
    far.set_places({far_host.place()});
    const ScriptedManager far_manager(far, ScriptedManager::Clients::tokens);
    const ScriptedManager near_manager(near, ScriptedManager::Clients::tokens);
    ClusterOptions options;
    options.managers = {far_manager.address(), near_manager.address()};
    options.authority = far.authority().certificate_pem() + near.authority().certificate_pem();
    options.token = "header.claims.signature";
    ASSERT_NO_FATAL_FAILURE(start_runtime(std::move(options)));
    const auto ready = runtime_->wait_for_edge(kPatience);
    ASSERT_TRUE(ready) << ready.error().message;
    EXPECT_FALSE(call_once().is_here());
    EXPECT_EQ(near.sessions(), near_accepts ? 1U : 0U);
    EXPECT_EQ(far.sessions(), near_accepts ? 0U : 1U);
    runtime_.reset();
  }
}

TEST_F(ClusterDevice, a_session_that_the_cluster_ends_is_opened_anew) {
  start_cluster(1, 1);
  ASSERT_NO_FATAL_FAILURE(start_ready());
  EXPECT_FALSE(call_once().is_here());
  cluster_.close_all();
  ASSERT_TRUE(wait_for_line("placement 1 of session test-2"));
  ASSERT_TRUE(wait_for_line("the session is at host h1"));
  EXPECT_TRUE(call_until_at_edge());
  EXPECT_EQ(cluster_.heard().opens, 2);
}

TEST_F(ClusterDevice, without_a_manager_everything_runs_here_until_there_is_one) {
  ClusterOptions options = cluster_options();
  options.managers = {"127.0.0.1:9"};  // nobody
  ASSERT_NO_FATAL_FAILURE(start_runtime(std::move(options)));
  EXPECT_TRUE(call_once().is_here());
  const auto ready = runtime_->wait_for_edge(200ms);
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code, Errc::unreachable);
}

TEST_F(ClusterDevice, options_that_cannot_be_are_refused_by_name) {
  const auto refused = [&](auto change) {
    start_managers(1);
    ClusterOptions options = cluster_options();
    change(options);
    const auto joined = join_cluster(std::move(options));
    return joined ? std::string("none") : joined.error().message;
  };
  EXPECT_THAT(refused([](auto& options) { options.managers.clear(); }), HasSubstr("managers"));
  EXPECT_THAT(refused([](auto& options) { options.managers = {"nowhere"}; }),
              HasSubstr("managers"));
  EXPECT_THAT(refused([](auto& options) { options.key.clear(); }), HasSubstr("key"));
  EXPECT_THAT(refused([](auto& options) { options.certificate = "none"; }),
              HasSubstr("certificate"));
  EXPECT_THAT(refused([](auto& options) { options.certificate.clear(), options.key.clear(); }),
              HasSubstr("token"));
  EXPECT_THAT(refused([&](auto& options) {
                options.key = cluster_.issue(identity::Role::tenant, "other").key_pem;
              }),
              HasSubstr("not the one of the certificate"));
}

}  // namespace
}  // namespace aloft::testing
