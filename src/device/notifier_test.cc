#include "device/notifier.h"

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace aloft::device {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Keeps what it is told.
class Listener {
 public:
  void take(const Notice& notice) {
    const std::lock_guard lock(mutex_);
    told_.push_back(notice);
    changed_.notify_all();
  }
  // The first notice of this kind that `fits`; fails the test when none comes.
  template <class Kind, class Fits>
  std::optional<Kind> await(Fits fits) {
    std::unique_lock lock(mutex_);
    std::optional<Kind> found;
    std::size_t seen = 0;
    const bool came = changed_.wait_for(lock, 30s, [&] {
      for (; seen < told_.size() && !found; ++seen) {
        const auto* const its = std::get_if<Kind>(&told_[seen]);
        if (its != nullptr && fits(*its)) found = *its;
      }
      return found.has_value();
    });
    EXPECT_TRUE(came);
    return found;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return told_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Notice> told_;
};

class MadeUpDevice : public testing::Test {
 protected:
  MadeUpDevice() {
    root_ = fs::path(testing::TempDir()) /
            (std::string("aloft_notifier_") +
             testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_ / "sys/class/thermal/thermal_zone0");
    std::ofstream(root_ / "sys/class/thermal/thermal_zone0/type") << "cpu-thermal\n";
    temperature(61);
  }
  ~MadeUpDevice() override { fs::remove_all(root_); }
  void temperature(int celsius) {
    std::ofstream(root_ / "sys/class/thermal/thermal_zone0/temp") << celsius * 1000 << "\n";
  }
  [[nodiscard]] Sensors::Roots roots() const {
    return {.sys = root_ / "sys", .proc = root_ / "proc"};
  }

  fs::path root_;
};

TEST_F(MadeUpDevice, tells_its_subscribers_how_it_is_and_what_changes) {
  Notifier notifier({.roots = roots(), .period = 5ms});
  Listener listener;
  const auto subscription = notifier.subscribe([&](const Notice& n) { listener.take(n); });
  const auto is = [](double celsius) {
    return [celsius](const DeviceSample& sample) { return sample.state().cpu_celsius == celsius; };
  };
  EXPECT_TRUE(listener.await<DeviceSample>(is(61)).has_value());
  temperature(70);
  EXPECT_TRUE(listener.await<DeviceSample>(is(70)).has_value());
}

TEST_F(MadeUpDevice, tells_nobody_whose_subscription_has_ended) {
  Notifier notifier({.roots = roots(), .period = 1ms});
  Listener first;
  Listener second;
  auto ends = notifier.subscribe([&](const Notice& n) { first.take(n); });
  const auto stays = notifier.subscribe([&](const Notice& n) { second.take(n); });
  (void)first.await<DeviceSample>([](const auto&) { return true; });
  ends.end();
  const std::size_t told = first.count();
  const auto now = std::chrono::steady_clock::now();
  (void)second.await<DeviceSample>([&](const DeviceSample& sample) { return sample.at > now; });
  EXPECT_EQ(first.count(), told);
}

TEST_F(MadeUpDevice, looks_again_for_one_who_subscribes_later) {
  Notifier notifier({.roots = roots(), .period = 1h});
  Listener first;
  const auto early = notifier.subscribe([&](const Notice& n) { first.take(n); });
  (void)first.await<DeviceSample>([](const auto&) { return true; });
  Listener second;
  const auto late = notifier.subscribe([&](const Notice& n) { second.take(n); });
  EXPECT_TRUE(second.await<DeviceSample>([](const auto&) { return true; }).has_value());
}

TEST_F(MadeUpDevice, knows_rates_and_loss_of_its_links_from_the_second_look_on) {
  std::mutex mutex;
  Notifier::LinkCount count{.up = true, .round_trip = 12ms, .tx_bytes = 1000, .segments = 100};
  Notifier notifier({.roots = roots(), .period = 5ms, .links = [&] {
                       const std::lock_guard lock(mutex);
                       auto told = std::vector{count, Notifier::LinkCount{}};
                       count.tx_bytes += 5000;
                       count.segments += 10;
                       count.resent += 1;
                       return told;
                     }});
  Listener listener;
  const auto subscription = notifier.subscribe([&](const Notice& n) { listener.take(n); });
  const auto first = listener.await<LinkSample>([](const LinkSample& s) { return s.edge == 0; });
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->up);
  EXPECT_EQ(first->round_trip, 12ms);
  EXPECT_FALSE(first->tx_rate || first->loss);
  const auto second =
      listener.await<LinkSample>([](const LinkSample& s) { return s.edge == 0 && s.tx_rate; });
  ASSERT_TRUE(second.has_value());
  const double time = std::chrono::duration<double>(second->at - first->at).count();
  EXPECT_NEAR(*second->tx_rate, 5000 / time, 1 / time);
  EXPECT_DOUBLE_EQ(*second->loss, 0.1);
  const auto other = listener.await<LinkSample>([](const LinkSample& s) { return s.edge == 1; });
  ASSERT_TRUE(other.has_value());
  EXPECT_FALSE(other->up || other->round_trip || other->loss);
}

}  // namespace
}  // namespace aloft::device
