// aloft-manager and the commands of `aloft` that ask it, as programs.
#include "support/programs.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/http_get.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace aloft {
namespace {

using namespace std::chrono_literals;
using aloft::testing::http_get;
using aloft::testing::HttpAnswer;
using aloft::testing::last_word;
using aloft::testing::Process;
using aloft::testing::program;
using aloft::testing::Ran;
using aloft::testing::run_aloft;
using ::testing::HasSubstr;

constexpr auto kPatience = 30s;

class Programs : public ::testing::Test {
 protected:
  Programs() {
    const auto made = run_aloft({"cluster", "init", cluster_});
    EXPECT_EQ(made.status, 0) << made.error;
  }

  // One that asks the manager.
  Ran ask(std::vector<std::string> arguments) {
    for (const std::string& more :
         {std::string("--manager"), "localhost:" + port_, std::string("--credentials"), cluster_}) {
      arguments.push_back(more);
    }
    return run_aloft(std::move(arguments));
  }
  std::vector<std::string> manager_command() {
    return {program("aloft-manager"),
            "--listen",
            "127.0.0.1:0",
            "--ops-listen",
            "127.0.0.1:0",
            "--credentials",
            cluster_,
            "--store-data",
            (folder_ / "store.db").string()};
  }

  const aloft::testing::TempDir folder_;
  const std::string cluster_ = (folder_ / "cluster").string();
  std::string port_;
};

TEST_F(Programs, a_manager_serves_is_watched_and_ends_when_it_is_told_to) {
  auto manager = Process::start(manager_command());
  ASSERT_TRUE(manager) << manager.error().message;
  auto line = manager->wait_for_line("listening on port", kPatience);
  ASSERT_TRUE(line) << manager->transcript();
  port_ = last_word(*line);
  line = manager->wait_for_line("/metrics", kPatience);
  ASSERT_TRUE(line) << manager->transcript();
  const std::string ops = last_word(*line);

  const auto hosts = ask({"hosts", "--json"});
  ASSERT_EQ(hosts.status, 0) << hosts.error;
  EXPECT_EQ(nlohmann::json::parse(hosts.output),
            nlohmann::json({{"hosts", nlohmann::json::array()}}));
  const auto tenants = ask({"tenants"});
  ASSERT_EQ(tenants.status, 0) << tenants.error;
  EXPECT_THAT(tenants.output, HasSubstr("default"));
  EXPECT_EQ(ask({"sessions"}).status, 0);
  const auto drained = ask({"drain", "nowhere"});
  EXPECT_EQ(drained.status, 3) << drained.error;
  EXPECT_THAT(drained.error, HasSubstr("error: no such host: nowhere"));
  EXPECT_EQ(ask({"explain", std::string(32, '0')}).status, 3);
  const auto refused = ask({"hosts", "--as", "tenant-default"});
  EXPECT_EQ(refused.status, 4) << refused.error;

  EXPECT_EQ(http_get(ops, "/healthz"), (HttpAnswer{200, "ok\n"}));
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (http_get(ops, "/readyz").status != 200 && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_EQ(http_get(ops, "/readyz").status, 200U);
  EXPECT_EQ(http_get(ops, "/else").status, 404U);
  const auto metrics = http_get(ops, "/metrics");
  EXPECT_EQ(metrics.status, 200U);
  EXPECT_THAT(metrics.body,
              HasSubstr("aloft_manager_requests_total{code=\"ok\",method=\"ListHosts\"} 1"));
  EXPECT_THAT(metrics.body, HasSubstr("aloft_manager_in_contact 1"));

  manager->signal(SIGTERM);
  EXPECT_EQ(manager->wait(kPatience), 0) << manager->transcript();
}

TEST_F(Programs, a_store_that_survived_kill_9_is_served_by_the_next_manager) {
  for (int i = 0; i < 2; ++i) {
    auto manager = Process::start(manager_command());
    ASSERT_TRUE(manager) << manager.error().message;
    const auto line = manager->wait_for_line("listening on port", kPatience);
    ASSERT_TRUE(line) << manager->transcript();
    port_ = last_word(*line);
    EXPECT_EQ(ask({"hosts"}).status, 0);
    manager->kill();
    EXPECT_EQ(manager->wait(kPatience), 137);
  }
}

TEST_F(Programs, what_is_wrong_is_said_with_what_to_do) {
  const auto expect_error = [&](std::vector<std::string> command, int status, const char* text) {
    auto manager = Process::start(std::move(command));
    ASSERT_TRUE(manager) << manager.error().message;
    EXPECT_EQ(manager->wait(kPatience), status) << manager->transcript();
    EXPECT_THAT(manager->standard_error(), HasSubstr("error: "));
    EXPECT_THAT(manager->standard_error(), HasSubstr(text));
  };
  expect_error({program("aloft-manager")}, 2, "credentials");
  expect_error({program("aloft-manager"), "--credentials", cluster_}, 2, "store.data");
  expect_error({program("aloft-manager"), "--credentials", (folder_ / "none").string(),
                "--store-data", (folder_ / "store.db").string()},
               1, "ca.pem");
  auto command = manager_command();
  command[2] = "203.0.113.1:1";
  expect_error(command, 1, "cannot listen on 203.0.113.1:1");

  EXPECT_EQ(run_aloft({"hosts"}).status, 2);
  port_ = "1";
  EXPECT_EQ(ask({"hosts"}).status, 5);
}

}  // namespace
}  // namespace aloft
