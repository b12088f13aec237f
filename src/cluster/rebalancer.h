// Which sessions to move from loaded hosts to idle ones, and when to leave them where they are.
// Pure: it is told what there is and what time it is, and answers with moves.
//
// A host's pressure is what of it is promised and what of it is in use, half each. Moving begins
// when two hosts are `begin` apart, and goes on until no two are more than `end` apart; a move that
// would turn the difference round is not made. How loaded a host is, it says as a mean over about a
// minute: what was moved a moment ago is not in that yet, so it is added here, less and less, or
// the same load would be moved away again and again, and then back.
//
// Bounded: so many moves a round, and no session twice within a while.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cluster/table.h"

namespace aloft::cluster {

struct RebalanceOptions {
  double begin = 0.3;
  double end = 0.15;
  std::size_t moves = 4;                            // a round
  std::chrono::milliseconds load_lag{60'000};       // of what hosts say
  std::chrono::milliseconds session_rest{300'000};  // before one moves again
};

struct BalancedHost {
  std::string id;
  std::uint64_t cpu_millicores = 0;       // it has
  std::uint64_t reserved_millicores = 0;  // are promised
  std::uint64_t memory_left = 0;          // bytes that are not promised
  double load = 0;                        // processors in use over processors there
  bool draining = false;                  // takes none
};
struct BalancedSession {
  std::string id;
  std::string host;
  std::uint64_t cpu_millicores = 0;
  std::uint64_t memory_bytes = 0;
};

// Thread rule: one thread at a time.
class Rebalancer {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Rebalancer(RebalanceOptions options = {}) : options_(options) {}

  struct Move {
    std::string session, from, to;
  };
  // `sessions`: those that may be moved. What it answers is taken as done.
  [[nodiscard]] std::vector<Move> plan(std::vector<BalancedHost> hosts,
                                       const std::vector<BalancedSession>& sessions,
                                       Clock::time_point now);

 private:
  struct Moved {
    std::string host;
    double load = 0;  // more there than it says
    Clock::time_point at;
  };
  const RebalanceOptions options_;
  bool active_ = false;
  std::vector<Moved> moved_;
  std::map<std::string, Clock::time_point> resting_;  // sessions, until when
};

// What there is, as a manager's tables have it: hosts that are there, and sessions that are placed
// and in no move.
struct BalanceState {
  std::vector<BalancedHost> hosts;
  std::vector<BalancedSession> sessions;
};
[[nodiscard]] BalanceState balance_state(const Tables& tables);

}  // namespace aloft::cluster
