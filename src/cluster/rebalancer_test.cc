// The policy that moves sessions to idle hosts, in a cluster that is simulated: hosts say their
// load as a mean over a minute, sessions use more or less than they were promised.
#include "cluster/rebalancer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace aloft::cluster {
namespace {

using namespace std::chrono_literals;

constexpr auto kRound = 10s;
constexpr std::uint64_t kSession = 100;  // millicores that are promised to each

class Simulation {
 public:
  explicit Simulation(std::vector<std::uint64_t> cores) {
    for (std::size_t i = 0; i < cores.size(); ++i) {
      hosts_.push_back({.id = "h" + std::to_string(i),
                        .cpu_millicores = cores[i] * 1000,
                        .memory_left = std::uint64_t{1} << 40U});
      said_.push_back(0);
    }
  }
  // So many sessions there, each of which uses so much.
  void open(std::size_t host, int count, double used_millicores) {
    for (int i = 0; i < count; ++i) {
      const std::string id = "s" + std::to_string(sessions_.size());
      sessions_.push_back(
          {.id = id, .host = hosts_[host].id, .cpu_millicores = kSession, .memory_bytes = 1});
      used_[id] = used_millicores;
    }
  }
  void use(double used_millicores) {
    for (auto& [id, used] : used_) used = used_millicores;
  }
  // A round of the policy, and the time to the next; answers the moves.
  std::size_t step() {
    std::vector<BalancedHost> told;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      BalancedHost host = hosts_[i];
      double used = 0;
      for (const auto& session : sessions_) {
        if (session.host != host.id) continue;
        host.reserved_millicores += session.cpu_millicores;
        used += used_[session.id];
      }
      const double load = std::min(1.0, used / static_cast<double>(host.cpu_millicores));
      const double weight = 1 - std::exp(-std::chrono::duration<double>(kRound) / 60s);
      said_[i] += (load - said_[i]) * weight;
      std::uniform_real_distribution<double> noise(-0.05, 0.05);
      host.load = std::max(0.0, said_[i] + noise(random_));
      told.push_back(host);
    }
    const auto moves = rebalancer_.plan(told, sessions_, now_);
    for (const auto& move : moves) {
      const auto session = std::ranges::find(sessions_, move.session, &BalancedSession::id);
      EXPECT_EQ(session->host, move.from);
      session->host = move.to;
      ++moves_of_[move.session];
    }
    now_ += kRound;
    return moves.size();
  }
  std::size_t run(int rounds) {
    std::size_t moves = 0;
    for (int i = 0; i < rounds; ++i) moves += step();
    return moves;
  }
  [[nodiscard]] auto at(std::size_t host) const {
    return std::ranges::count(sessions_, hosts_[host].id, &BalancedSession::host);
  }
  [[nodiscard]] int most_moves_of_a_session() const {
    int most = 0;
    for (const auto& [id, moves] : moves_of_) most = std::max(most, moves);
    return most;
  }
  std::vector<BalancedHost> hosts_;

 private:
  std::vector<BalancedSession> sessions_;
  std::map<std::string, double> used_;
  std::map<std::string, int> moves_of_;
  std::vector<double> said_;
  std::minstd_rand random_{1};
  Rebalancer rebalancer_;
  Rebalancer::Clock::time_point now_{};
};

TEST(Rebalancer, a_new_host_gets_its_share_and_then_there_is_rest) {
  Simulation cluster({4, 4, 4});
  cluster.open(0, 20, 100);
  cluster.open(1, 20, 100);
  EXPECT_GT(cluster.run(30), 0U);
  EXPECT_GT(cluster.at(2), 5);
  EXPECT_LE(std::abs(cluster.at(0) - cluster.at(2)), 10);
  // An hour without a change: noise and lag move nothing.
  EXPECT_EQ(cluster.run(360), 0U);
  EXPECT_EQ(cluster.most_moves_of_a_session(), 1);
}

TEST(Rebalancer, no_round_moves_more_than_a_few) {
  Simulation cluster({4, 4});
  cluster.open(0, 40, 100);
  for (int i = 0; i < 20; ++i) EXPECT_LE(cluster.step(), RebalanceOptions{}.moves);
}

TEST(Rebalancer, a_load_that_comes_and_goes_is_not_followed_back_and_forth) {
  Simulation cluster({4, 4, 8});
  cluster.open(0, 15, 100);
  cluster.open(1, 15, 100);
  std::size_t moves = cluster.run(60);
  // Sessions that use twice what they were promised for ten minutes, then nothing, for hours.
  for (int i = 0; i < 20; ++i) {
    cluster.use(i % 2 == 0 ? 200 : 0);
    moves += cluster.run(60);
  }
  EXPECT_LE(moves, 60U) << "each session twice, over six hours";
  EXPECT_LE(cluster.most_moves_of_a_session(), 3);
}

TEST(Rebalancer, what_is_fair_already_or_cannot_be_made_so_stays) {
  Simulation even({4, 4});
  even.open(0, 20, 100);
  even.open(1, 15, 100);
  EXPECT_EQ(even.run(100), 0U);

  Simulation full({4, 4});
  full.open(0, 40, 100);
  full.hosts_[1].memory_left = 0;
  EXPECT_EQ(full.run(10), 0U);
  Simulation draining({4, 4});
  draining.open(0, 40, 100);
  draining.hosts_[1].draining = true;
  EXPECT_EQ(draining.run(10), 0U);
  Simulation alone({4});
  alone.open(0, 40, 100);
  EXPECT_EQ(alone.run(10), 0U);
  Simulation one_large({1, 1});
  one_large.open(0, 1, 900);
  EXPECT_EQ(one_large.run(100), 0U) << "the load would only be at the other host";
}

}  // namespace
}  // namespace aloft::cluster
