// Three hosts: a device whose object and channel move about all the time, and two edges that are
// killed, started again, cut off and healed meanwhile. Whatever happens, its answers and its final
// state are those of a run that never moved.
//
// ALOFT_MOVES says how many moves there are (100 in `./dev test`, 1,000 in `./dev test --full`),
// ALOFT_SEED which ones:
//   ALOFT_MOVES=1000 ALOFT_SEED=7 build/release/tests/fault_moves_test
#include <array>
#include <cstdlib>
#include <iostream>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "support/demo.h"
#include "support/extent.h"
#include "support/netns.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "support/text_file.h"
#include "test_paths.h"

namespace aloft::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPort = 7411;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// The last number that stands behind this word.
std::uint64_t number_after(const std::string& output, const std::string& word) {
  const auto at = output.rfind(word + " ");
  return at == std::string::npos
             ? 0
             : std::strtoull(output.c_str() + at + word.size() + 1, nullptr, 10);
}

// One edge on a host of its own, and what is wrong with it now.
class FaultyEdge {
 public:
  FaultyEdge(Network& network, std::string host) : network_(network), host_(std::move(host)) {}

  void start() {
    auto started = DemoEdge::start({.cache = cache_.path(),
                                    .host = network_.address(host_),
                                    .port = kPort,
                                    .repository = {},
                                    .arguments = {"--insecure"},
                                    .on = [this](std::vector<std::string> command) {
                                      return network_.command(host_, std::move(command));
                                    }});
    ASSERT_TRUE(started) << host_ << ": " << started.error().message;
    process_.emplace(std::move(*started));
  }
  // Kills or cuts what is whole; starts or heals what is not.
  void fail_or_mend(std::mt19937& random) {
    if (!process_) {
      start();
      ++starts_;
    } else if (cut_) {
      ASSERT_TRUE(network_.heal(host_));
      cut_ = false;
    } else if (random() % 2 == 0) {
      process_->process().kill();
      ASSERT_EQ(process_->process().wait(5s), 128 + SIGKILL);
      process_.reset();
      ++kills_;
    } else {
      ASSERT_TRUE(network_.cut(host_));
      cut_ = true;
      ++cuts_;
    }
  }
  [[nodiscard]] std::string address() const {
    return network_.address(host_) + ":" + std::to_string(kPort);
  }
  [[nodiscard]] std::string story() const {
    return host_ + ": " + std::to_string(kills_) + " kills, " + std::to_string(starts_) +
           " starts again, " + std::to_string(cuts_) + " cuts";
  }
  [[nodiscard]] int faults() const { return kills_ + cuts_; }
  [[nodiscard]] std::string transcript() {
    return process_ ? process_->process().transcript() : host_ + " does not run";
  }

 private:
  Network& network_;
  const std::string host_;
  TempDir cache_;
  std::optional<DemoEdge> process_;
  bool cut_ = false;
  int kills_ = 0;
  int starts_ = 0;
  int cuts_ = 0;
};

class ThreeHosts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto missing = Network::what_is_missing()) GTEST_SKIP() << *missing;
    auto made = Network::make();
    ASSERT_TRUE(made) << made.error().message;
    network_.emplace(std::move(*made));
    for (const char* host : {"device", "edge1", "edge2"}) {
      const auto added = network_->add_host(host);
      ASSERT_TRUE(added) << added.error().message;
    }
    for (const char* host : {"edge1", "edge2"}) {
      edges_.emplace_back(std::make_unique<FaultyEdge>(*network_, host));
      ASSERT_NO_FATAL_FAILURE(edges_.back()->start());
    }
  }

  // The answers of the device's run, and how many calls and messages there were.
  struct Run {
    std::string answers;
    std::uint64_t calls = 0;
    std::uint64_t messages = 0;
  };
  Run run_that_stays(const Run& as) {
    auto device =
        Process::start({program(), "--stay", "--calls", std::to_string(as.calls), "--messages",
                        std::to_string(as.messages), "--answers", (out_ / "stayed").string()});
    EXPECT_TRUE(device && device->wait(60s) == 0);
    return {read_text(out_ / "stayed"), as.calls, as.messages};
  }
  [[nodiscard]] static std::string program() {
    return (binary_dir() / "tests/moves_device").string();
  }

  std::optional<Network> network_;
  std::vector<std::unique_ptr<FaultyEdge>> edges_;
  TempDir out_;
};

TEST_F(ThreeHosts, whatever_moves_and_whoever_dies_nothing_is_lost_or_doubled) {
  const std::uint64_t moves = number_from("ALOFT_MOVES", by_extent(100U, 1000U));
  const auto seed = static_cast<std::uint32_t>(number_from("ALOFT_SEED", 1));
  auto device = Process::start(
      network_->command("device", {program(), "--edge", edges_[0]->address(), "--edge",
                                   edges_[1]->address(), "--moves", std::to_string(moves), "--seed",
                                   std::to_string(seed), "--answers", (out_ / "moved").string()}));
  ASSERT_TRUE(device) << device.error().message;

  std::mt19937 random(seed);
  std::uint64_t done = 0;
  while (const auto line = device->read_line(60s)) {
    ASSERT_FALSE(line->starts_with("failure")) << *line << "\n" << device->transcript();
    if (!line->starts_with("move ")) continue;
    // "move 18 of 12": its number, and how many succeeded before it. Moves that are refused are
    // many and quick, since nobody waits for anything: they do not count, but for now and then.
    const bool one_more = std::exchange(done, number_after(*line, " of")) != done;
    if (random() % (one_more ? 8 : 200) != 0) continue;
    ASSERT_NO_FATAL_FAILURE(edges_[random() % edges_.size()]->fail_or_mend(random));
  }
  ASSERT_EQ(device->wait(10s), 0) << device->transcript() << edges_[0]->transcript()
                                  << edges_[1]->transcript();
  const std::string said = device->standard_output();
  const Run moved{read_text(out_ / "moved"), number_after(said, "\ncalls"),
                  number_after(said, "\nmessages")};
  EXPECT_GE(moved.calls, moves);
  EXPECT_GT(moved.messages, 0U);
  EXPECT_EQ(number_after(said, "\nmoved"), moves);
  EXPECT_GT(edges_[0]->faults() + edges_[1]->faults(), 0);
  // Not EXPECT_EQ: a difference is millions of letters long.
  EXPECT_TRUE(moved.answers == run_that_stays(moved).answers)
      << "the answers differ from those of a run that stayed; seed " << seed;
  std::cout << said.substr(said.rfind("\nmoved") + 1) << edges_[0]->story() << "; "
            << edges_[1]->story() << "\n";
}

}  // namespace
}  // namespace aloft::testing
