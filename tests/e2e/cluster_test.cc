// A cluster of one machine as a newcomer starts it (aloft up), and the application on it: manager,
// host, a sandboxed Execution Handler, the repository, tickets, all in processes of their own.
#include <csignal>
#include <fstream>
#include <iostream>
#include <optional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "support/demo.h"
#include "support/process_tree.h"
#include "support/programs.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

class ClusterTest : public ::testing::Test {
 protected:
  void start_cluster(const std::vector<std::string>& modules = {detect()}) {
    auto up = aloft_up(state_.path(), modules);
    ASSERT_TRUE(up.has_value()) << up.error().message;
    up_.emplace(std::move(up->process));
    manager_ = up->manager;
  }

  [[nodiscard]] static std::string detect() { return binary_dir() / "modules" / "detect.wasm"; }
  [[nodiscard]] std::string credentials() const { return state_ / "cluster"; }

  // Of aloft-detect, for the tenant that `aloft cluster init` made.
  [[nodiscard]] std::vector<std::string> demo(std::vector<std::string> arguments) const {
    const std::string keys = credentials();
    arguments.insert(arguments.end(),
                     {"--cluster", manager_, "--cluster-ca", keys + "/ca.pem", "--cluster-cert",
                      keys + "/tenant-default.pem", "--cluster-key", keys + "/tenant-default.key",
                      "--device-cpu", "100"});
    return demo_command(out_.path(), std::move(arguments));
  }

  // What an operator's command prints with --json.
  nlohmann::json ask(const std::string& command) {
    const Ran ran =
        run_aloft({command, "--json", "--manager", manager_, "--credentials", credentials()});
    EXPECT_EQ(ran.status, 0) << ran.error;
    return ran.status == 0 ? nlohmann::json::parse(ran.output) : nlohmann::json();
  }

  std::size_t sessions() {
    return ask("sessions").value("sessions", nlohmann::json::array()).size();
  }

  [[nodiscard]] nlohmann::json report() const {
    return nlohmann::json::parse(std::ifstream(out_ / "report.json"));
  }

  void expect_nothing_lost(int frames) {
    const auto result = report();
    EXPECT_EQ(result.at("frames"), frames);
    for (const char* none : {"frames_lost", "frames_duplicated", "frames_reordered", "fallbacks"})
      EXPECT_EQ(result.at(none), 0) << none;
  }

  TempDir state_;
  TempDir out_;
  std::optional<Process> up_;
  std::string manager_;
};

TEST_F(ClusterTest, the_demonstration_hops_on_it_and_loses_nothing) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  auto application = Process::start(demo({"--frames", "60", "--switch-every", "10"}));
  ASSERT_TRUE(application.has_value());
  EXPECT_EQ(application->wait(100s), 0) << application->transcript() << up_->transcript();
  expect_nothing_lost(60);
  EXPECT_EQ(report().at("switches"), 5);

  const auto hosts = ask("hosts").value("hosts", nlohmann::json::array());
  ASSERT_EQ(hosts.size(), 1U) << hosts;
  EXPECT_EQ(hosts[0].at("id"), "local");
  EXPECT_EQ(sessions(), 0U) << "the application closed it at its end";

  up_->signal(SIGINT);
  EXPECT_EQ(up_->wait(20s), 0) << up_->transcript();
  // What the engine's library wants of the machine it gets, though its process sees nothing of it.
  EXPECT_EQ(up_->standard_error().find("Error in cpuinfo"), std::string::npos)
      << up_->standard_error();
}

TEST_F(ClusterTest, starts_with_an_empty_repository_and_serves_what_is_pushed_later) {
  ASSERT_NO_FATAL_FAILURE(start_cluster({}));
  auto push = Process::start(
      {program("aloft"), "module", "push", "--repository", state_ / "repository", detect()});
  ASSERT_TRUE(push.has_value());
  ASSERT_EQ(push->wait(20s), 0) << push->transcript();
  auto application = Process::start(demo({"--frames", "20", "--place", "remote"}));
  ASSERT_TRUE(application.has_value());
  EXPECT_EQ(application->wait(100s), 0) << application->transcript() << up_->transcript();
  expect_nothing_lost(20);
}

TEST_F(ClusterTest, a_session_goes_on_when_the_manager_is_killed) {
  ASSERT_NO_FATAL_FAILURE(start_cluster());
  auto application = Process::start(demo({"--frames", "120", "--place", "remote"}));
  ASSERT_TRUE(application.has_value());
  ASSERT_TRUE(application->wait_for_error("at the edge", 60s)) << application->transcript();
  ASSERT_EQ(sessions(), 1U) << application->transcript();
  const auto manager = child_of(up_->pid(), "aloft-manager");
  ASSERT_TRUE(manager);
  ASSERT_EQ(::kill(*manager, SIGKILL), 0);
  EXPECT_EQ(application->wait(100s), 0) << application->transcript();
  expect_nothing_lost(120);
  if (HasFailure()) std::cout << application->transcript() << up_->transcript();
}

}  // namespace
}  // namespace aloft::testing
