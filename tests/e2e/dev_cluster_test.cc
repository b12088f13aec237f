// `./dev cluster` as a person uses it: it comes up, runs what it is told to in its network, and
// leaves nothing.
#include <csignal>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/cluster_in_namespaces.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPatience = 120s;

class DevCluster : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = ClusterInNamespaces::what_is_missing()) GTEST_SKIP() << *missing;
  }
  static std::vector<std::string> command(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), (binary_dir() / "tests/dev-cluster").string());
    return arguments;
  }
  // What a process of this number has left, or has now.
  static std::vector<std::string> left_by(pid_t owner) {
    std::vector<std::string> left;
    const std::string number = std::to_string(owner);
    for (const fs::path& folder : {fs::path("/run/netns"), fs::temp_directory_path()}) {
      std::error_code error;
      for (const auto& entry : fs::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("aloft-" + number + "-") || name == "aloft-cluster-" + number)
          left.push_back(entry.path().string());
      }
    }
    return left;
  }
  // Processes that have this word in their command line.
  static std::size_t processes_with(const std::string& word) {
    std::size_t count = 0;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/proc", error)) {
      std::string line;
      std::getline(std::ifstream(entry.path() / "cmdline"), line);
      count += line.find(word) != std::string::npos ? 1U : 0U;
    }
    return count;
  }
};

TEST_F(DevCluster, runs_a_command_in_its_network_and_ends_with_its_status) {
  auto hosts = Process::start(command(
      {"--hosts", "2", "--managers", "2", "--etcd", "3", "--run", "aloft", "hosts", "--json"}));
  ASSERT_TRUE(hosts) << hosts.error().message;
  ASSERT_EQ(hosts->wait(kPatience), 0) << hosts->transcript();
  const auto answer = nlohmann::json::parse(hosts->standard_output());
  ASSERT_EQ(answer.at("hosts").size(), 2U) << answer;
  EXPECT_EQ(answer["hosts"][0].at("id"), "h1");
  EXPECT_EQ(answer["hosts"][1].at("id"), "h2");
  EXPECT_TRUE(left_by(hosts->pid()).empty());

  auto fails = Process::start(
      command({"--hosts", "1", "--managers", "1", "--etcd", "0", "--run", "sh", "-c", "exit 7"}));
  ASSERT_TRUE(fails);
  EXPECT_EQ(fails->wait(kPatience), 7) << fails->transcript();
}

TEST_F(DevCluster, the_demonstration_runs_on_it) {
  const TempDir out;
  std::vector<std::string> words{"--hosts",
                                 "1",
                                 "--managers",
                                 "2",
                                 "--etcd",
                                 "1",
                                 "--run",
                                 "sh",
                                 "-c",
                                 "exec \"$@\" --cluster \"$ALOFT_MANAGER\" --cluster-ca "
                                 "\"$ALOFT_CREDENTIALS/ca.pem\" --cluster-cert "
                                 "\"$ALOFT_CREDENTIALS/tenant-default.pem\" --cluster-key "
                                 "\"$ALOFT_CREDENTIALS/tenant-default.key\"",
                                 "sh"};
  for (std::string& word :
       demo_command(out.path(), {"--frames", "20", "--switch-every", "5", "--device-cpu", "100"}))
    words.push_back(std::move(word));
  auto demo = Process::start(command(std::move(words)));
  ASSERT_TRUE(demo) << demo.error().message;
  ASSERT_EQ(demo->wait(kPatience), 0) << demo->transcript();
  const auto report = nlohmann::json::parse(std::ifstream(out / "report.json"));
  EXPECT_EQ(report.at("frames"), 20);
  EXPECT_EQ(report.at("switches"), 3);
  for (const char* none : {"frames_lost", "frames_duplicated", "frames_reordered", "fallbacks"})
    EXPECT_EQ(report.at(none), 0) << none;
}

TEST_F(DevCluster, says_how_to_use_it_and_leaves_nothing_however_it_ends) {
  for (const int end : {SIGTERM, SIGKILL}) {
    auto cluster = Process::start(command({"--hosts", "1", "--managers", "1", "--etcd", "1"}));
    ASSERT_TRUE(cluster) << cluster.error().message;
    const auto line = cluster->wait_for_line("aloft hosts", kPatience);
    ASSERT_TRUE(line) << cluster->transcript();
    ASSERT_TRUE(cluster->wait_for_line("kill NAME", 5s)) << cluster->transcript();
    const std::string folder = "aloft-cluster-" + std::to_string(cluster->pid());
    EXPECT_FALSE(left_by(cluster->pid()).empty());
    EXPECT_GT(processes_with(folder), 0U);
    // As it says.
    const std::string in =
        line->substr(line->find('/'), line->find(" aloft hosts") - line->find('/'));
    auto hosts = Process::start({in, "aloft", "hosts"});
    ASSERT_TRUE(hosts) << hosts.error().message;
    EXPECT_EQ(hosts->wait(20s), 0) << hosts->transcript();
    EXPECT_NE(hosts->standard_output().find("h1"), std::string::npos) << hosts->transcript();

    cluster->signal(end);
    ASSERT_TRUE(cluster->wait(20s)) << cluster->transcript();
    if (end == SIGKILL) {
      // Its processes are gone; the rest goes with the next one.
      auto next = Process::start(
          command({"--hosts", "1", "--managers", "1", "--etcd", "0", "--run", "true"}));
      ASSERT_TRUE(next);
      EXPECT_EQ(next->wait(kPatience), 0) << next->transcript();
    }
    EXPECT_TRUE(left_by(cluster->pid()).empty());
    EXPECT_EQ(processes_with(folder), 0U);
  }
}

TEST_F(DevCluster, what_cannot_be_is_said) {
  const auto expect_error = [](std::vector<std::string> arguments, const char* text) {
    auto cluster = Process::start(command(std::move(arguments)));
    ASSERT_TRUE(cluster);
    EXPECT_EQ(cluster->wait(20s), 2) << cluster->transcript();
    EXPECT_NE(cluster->standard_error().find(text), std::string::npos) << cluster->transcript();
  };
  expect_error({"--managers", "2", "--etcd", "0"}, "error: a cluster has a manager");
  expect_error({"--hosts", "0"}, "error: a cluster has a manager");
  expect_error({"--run"}, "error: --run needs a command");
  expect_error({"--hosts", "many"}, "error: ");
}

}  // namespace
}  // namespace aloft::testing
