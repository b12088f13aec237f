// A new version of a module for a part of the devices of a cluster: devices, manager, host and what
// runs there are processes of their own.
#include <csignal>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "base/digest.h"
#include "cluster/rollout_versions.h"
#include "support/extent.h"
#include "support/process.h"
#include "support/process_tree.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::size_t kDevices = 8;
constexpr auto kPatience = 90s;

std::filesystem::path module_file(int version) {
  const std::string number = version == 1 ? "" : "_" + std::to_string(version);
  return binary_dir() / ("modules/tally" + number + ".wasm");
}

std::string version_name(int version) {
  const auto digest = sha256_file(module_file(version));
  return "tally@sha256:" + (digest ? digest->digest.hex() : "");
}

struct Device {
  Process process;
  std::string session;
};

class RolloutTest : public ::testing::Test {
 protected:
  void start_cluster() {
    std::vector<std::string> modules;
    for (const int version : {1, 2, 3, 6, 7}) modules.push_back(module_file(version));
    auto up = aloft_up(state_.path(), modules);
    ASSERT_TRUE(up.has_value()) << up.error().message;
    up_.emplace(std::move(up->process));
    manager_ = up->manager;
  }
  void start_devices(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      auto process = Process::start({(binary_dir() / "tests" / "rollout_device").string(),
                                     "--manager", manager_, "--credentials", credentials()});
      ASSERT_TRUE(process.has_value()) << process.error().message;
      devices_.push_back({.process = std::move(*process), .session = {}});
    }
    for (Device& device : devices_) {
      const auto line = device.process.wait_for_line("session ", kPatience);
      ASSERT_TRUE(line) << device.process.transcript() << up_->transcript();
      device.session = line->substr(8);
      expect_version(device, 1);
    }
  }
  // Both the function and the object answer as this version.
  void expect_version(Device& device, int version) {
    for (const char* kind : {"function", "object"}) {
      const std::string line = std::string(kind) + " version " + std::to_string(version);
      // Either may come first.
      if (device.process.standard_output().find(line) != std::string::npos) continue;
      EXPECT_TRUE(wait_for_output(device.process, line))
          << line << '\n'
          << device.process.transcript() << up_->transcript();
    }
  }
  static bool wait_for_output(Process& process, const std::string& text) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    const auto has = [&] { return process.standard_output().find(text) != std::string::npos; };
    while (!has() && std::chrono::steady_clock::now() < until) {
      if (!process.read_line(1s) && process.wait(0ms)) break;  // it has ended
    }
    return has();
  }

  [[nodiscard]] std::string credentials() const { return state_ / "cluster"; }

  Ran rollout(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "rollout");
    arguments.insert(arguments.end(),
                     {"--json", "--manager", manager_, "--credentials", credentials()});
    return run_aloft(std::move(arguments));
  }
  nlohmann::json status() {
    const auto asked = rollout({"tally", "--status"});
    if (asked.status != 0) return {};  // a manager that was killed is being started again
    return nlohmann::json::parse(asked.output).at("rollouts").at(0);
  }
  bool wait_for_status(const std::function<bool(const nlohmann::json&)>& is_so) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < until) {
      const auto now = status();
      if (!now.is_null() && is_so(now)) return true;
    }
    ADD_FAILURE() << status() << up_->transcript();
    return false;
  }
  // The devices end, none has lost a call or an entry, and they have had so many versions.
  void expect_nothing_lost() {
    for (Device& device : devices_) device.process.signal(SIGTERM);
    for (Device& device : devices_)
      EXPECT_EQ(device.process.wait(kPatience), 0) << device.process.transcript();
  }
  void kill_manager() {
    const auto manager = child_of(up_->pid(), "aloft-manager");
    ASSERT_TRUE(manager);
    ASSERT_EQ(::kill(*manager, SIGKILL), 0);
  }

  TempDir state_;
  std::optional<Process> up_;
  std::string manager_;
  std::list<Device> devices_;
};

// The one manager, so that nobody else tells the device.
TEST_F(RolloutTest, a_device_hears_from_a_manager_again_that_was_killed_and_started_again) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  ASSERT_NO_FATAL_FAILURE(start_devices(1));
  ASSERT_NO_FATAL_FAILURE(kill_manager());
  const auto until = std::chrono::steady_clock::now() + kPatience;
  Ran started;
  while (started.status != 0 && std::chrono::steady_clock::now() < until)
    started = rollout({version_name(2), "--percent", "100"});
  ASSERT_EQ(started.status, 0) << started.error << up_->transcript();
  expect_version(devices_.front(), 2);
  expect_nothing_lost();
}

TEST_F(RolloutTest, half_of_the_devices_get_it_between_two_calls_while_a_manager_is_killed) {
  if (extent() == Extent::brief) GTEST_SKIP() << "set ALOFT_FULL=1 for it";
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  ASSERT_NO_FATAL_FAILURE(start_devices(kDevices));
  const auto refused = rollout({version_name(3), "--percent", "50"});
  EXPECT_EQ(refused.status, 1) << refused.error;
  EXPECT_THAT(refused.error, HasSubstr("class tally::Tally has other types"));

  const auto started = rollout({version_name(2), "--percent", "50"});
  ASSERT_EQ(started.status, 0) << started.error;
  ASSERT_NO_FATAL_FAILURE(kill_manager());
  std::uint32_t chosen = 0;
  for (Device& device : devices_) {
    if (cluster::rollout_part(device.session) >= 5'000) continue;
    ++chosen;
    expect_version(device, 2);
  }
  ASSERT_TRUE(wait_for_status([&](const nlohmann::json& now) {
    return now.at("to").at("sessions") == chosen &&
           now.at("from").at("sessions") == kDevices - chosen;
  }));
  expect_nothing_lost();
  for (const Device& device : devices_) {
    const bool has_it = cluster::rollout_part(device.session) < 5'000;
    EXPECT_EQ(device.process.standard_output().find("version 2") != std::string::npos, has_it)
        << device.process.transcript();
  }
}

TEST_F(RolloutTest, a_version_that_traps_and_one_that_is_slow_are_taken_back_and_no_call_fails) {
  if (extent() == Extent::brief) GTEST_SKIP() << "set ALOFT_FULL=1 for it";
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  ASSERT_NO_FATAL_FAILURE(start_devices(2));
  for (const auto& [version, limit, text] :
       {std::tuple{6, std::vector<std::string>{"--max-error-rate", "0.1"}, "calls failed"},
        std::tuple{7, std::vector<std::string>{"--max-p99", "5"}, "99 of 100 calls take"}}) {
    std::vector<std::string> arguments{version_name(version), "--percent", "100"};
    arguments.insert(arguments.end(), limit.begin(), limit.end());
    const auto started = rollout(arguments);
    ASSERT_EQ(started.status, 0) << started.error;
    ASSERT_TRUE(wait_for_status([](const auto& now) { return now.at("state") == "TAKEN_BACK"; }));
    EXPECT_THAT(status().at("reason").get<std::string>(), HasSubstr(text));
    // All by itself.
    ASSERT_TRUE(wait_for_status([](const nlohmann::json& now) {
      return now.at("to").at("sessions") == 0 && now.at("from").at("sessions") == 2;
    }));
  }
  expect_nothing_lost();
}

}  // namespace
}  // namespace aloft::testing
