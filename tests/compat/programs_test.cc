// Programs of this version and of the one before it, mixed: old devices at new edges, new devices
// at old ones, and the same of hosts and managers. Each pair runs the demonstration, which hops
// between device and edge and must lose nothing.
//
// The programs of the version before are built from its sources, once (scripts/build-previous).
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/demo.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kBuildLimit = 55min;
constexpr auto kPatience = 120s;

// Folders with bin/ and modules/.
struct Builds {
  fs::path now = binary_dir();
  fs::path before;
};

class Compatibility : public ::testing::Test {
 protected:
  void SetUp() override {
    // Not a shell's exit status alone: what is missing is to be read in the log.
    auto build = Process::start({(source_dir() / "scripts/build-previous").string()});
    ASSERT_TRUE(build) << build.error().message;
    const auto status = build->wait(kBuildLimit);
    if (status == 77) GTEST_SKIP() << build->standard_error();
    ASSERT_EQ(status, 0) << build->transcript();
    std::string folder = build->standard_output();
    while (!folder.empty() && folder.back() == '\n') folder.pop_back();
    builds_.before = folder;
  }

  void expect_nothing_lost(Process& device) {
    EXPECT_EQ(device.wait(kPatience), 0) << device.transcript() << others();
    const auto report = nlohmann::json::parse(std::ifstream(out_ / "report.json"), nullptr, false);
    ASSERT_TRUE(report.is_object()) << device.transcript() << others();
    EXPECT_EQ(report.at("frames"), 30);
    EXPECT_EQ(report.at("switches"), 2);
    for (const char* none : {"frames_lost", "frames_duplicated", "frames_reordered", "fallbacks"})
      EXPECT_EQ(report.at(none), 0) << none << '\n' << device.transcript() << others();
  }
  // The application of one build, with arguments of its own.
  Result<Process> start_device(const fs::path& build, const std::vector<std::string>& arguments) {
    auto command = demo_command(out_.path(), arguments);
    command.front() = build / "bin/aloft-detect";
    command.insert(command.end(),
                   {"--frames", "30", "--switch-every", "10", "--device-cpu", "100"});
    return Process::start(command);
  }
  [[nodiscard]] std::string others() const {
    std::string all;
    for (const Process& process : processes_) all += process.transcript();
    return all;
  }

  void run_bare(const fs::path& device_of, const fs::path& edge_of) {
    // A device asks for the modules that it was built with.
    auto edge =
        Process::start({edge_of / "bin/aloft-exec", "--listen", "127.0.0.1:0", "--repository",
                        device_of / "modules", "--cache", state_ / "cache"});
    ASSERT_TRUE(edge) << edge.error().message;
    const auto line = edge->wait_for_line("listening on", kPatience);
    ASSERT_TRUE(line) << edge->transcript();
    processes_.push_back(std::move(*edge));
    auto device = start_device(device_of, {"--edge", "127.0.0.1" + line->substr(line->rfind(':'))});
    ASSERT_TRUE(device) << device.error().message;
    expect_nothing_lost(*device);
  }

  void must_run(std::vector<std::string> command) {
    auto process = Process::start(std::move(command));
    ASSERT_TRUE(process) << process.error().message;
    ASSERT_EQ(process->wait(kPatience), 0) << process->transcript();
  }
  void run_cluster(const fs::path& manager_of, const fs::path& host_of, const fs::path& device_of) {
    const std::string keys = state_ / "cluster";
    const std::string repository = state_ / "repository";
    const std::string cli = manager_of / "bin/aloft";
    ASSERT_NO_FATAL_FAILURE(must_run({cli, "cluster", "init", keys, "--allow-unsigned"}));
    ASSERT_NO_FATAL_FAILURE(must_run({cli, "cluster", "issue", keys, "--role", "host", "--name",
                                      "h1", "--hosts", "localhost,127.0.0.1"}));
    ASSERT_NO_FATAL_FAILURE(must_run(
        {cli, "module", "push", "--repository", repository, device_of / "modules/detect.wasm"}));
    auto manager = Process::start({manager_of / "bin/aloft-manager", "--listen", "127.0.0.1:0",
                                   "--credentials", keys, "--store-data", state_ / "state.sqlite"});
    ASSERT_TRUE(manager) << manager.error().message;
    const auto line = manager->wait_for_line("listening on port ", kPatience);
    ASSERT_TRUE(line) << manager->transcript();
    processes_.push_back(std::move(*manager));
    const std::string address = "127.0.0.1:" + line->substr(line->rfind(' ') + 1);
    auto host =
        Process::start({host_of / "bin/aloft-host", "--managers", address, "--credentials", keys,
                        "--id", "h1", "--repository", repository, "--state", state_ / "host",
                        "--isolation", "best-effort", "--drain-limit", "0s"});
    ASSERT_TRUE(host) << host.error().message;
    ASSERT_TRUE(host->wait_for_line("registered", kPatience)) << host->transcript() << others();
    processes_.push_back(std::move(*host));
    auto device = start_device(
        device_of, {"--cluster", address, "--cluster-ca", keys + "/ca.pem", "--cluster-cert",
                    keys + "/tenant-default.pem", "--cluster-key", keys + "/tenant-default.key"});
    ASSERT_TRUE(device) << device.error().message;
    expect_nothing_lost(*device);
  }

  Builds builds_;
  TempDir state_, out_;
  std::vector<Process> processes_;
};

TEST_F(Compatibility, an_old_device_works_at_a_new_edge) { run_bare(builds_.before, builds_.now); }

TEST_F(Compatibility, a_new_device_works_at_an_old_edge) { run_bare(builds_.now, builds_.before); }

TEST_F(Compatibility, an_old_host_serves_a_new_manager) {
  run_cluster(builds_.now, builds_.before, builds_.now);
}

TEST_F(Compatibility, a_new_host_serves_an_old_manager) {
  run_cluster(builds_.before, builds_.now, builds_.now);
}

TEST_F(Compatibility, an_old_device_has_a_session_in_a_new_cluster) {
  run_cluster(builds_.now, builds_.now, builds_.before);
}

}  // namespace
}  // namespace aloft::testing
