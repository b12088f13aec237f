// Rollouts of new versions of modules: their records in the store, what became of the calls of both
// versions, and going back by itself.
//
//   start        the new version for a part of the sessions; again: for another part
//   end          by an operator: all go back, or all go on
//   take_back    by the cluster, when a version fails more calls, or takes longer, than it may
//
// All of it is records: which version a session is to run follows from them (rollout_versions.h),
// and the caretaker of each manager moves its sessions there. Every manager judges, and takes back;
// the first transaction counts, and so no manager is special and any may die.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/ledger.h"
#include "cluster/rollout_judge.h"
#include "cluster/rollout_versions.h"
#include "cluster/table.h"
#include <aloft/result.h>

namespace aloft::cluster {

// Thread rule: any thread. Errors of all beside their own: those of Ledger::run.
class Rollouts {
 public:
  Rollouts(Tables& tables, Ledger& ledger) : tables_(tables), ledger_(ledger) {}

  // The digest that sessions of this module have now, where a rollout does not say. Errors:
  // not_found (no session), invalid_argument (several; say which).
  [[nodiscard]] Result<std::string> version_in_use(const std::string& tenant,
                                                   const std::string& module) const;
  // Errors: refused (another rollout of this module is under way).
  [[nodiscard]] Result<void> start(const v1::StartRolloutRequest& request, const std::string& from);
  // Errors: not_found (no such rollout), refused (it is over).
  [[nodiscard]] Result<void> end(const std::string& tenant, const std::string& module,
                                 v1::EndRolloutRequest::How how);
  // Nothing happens where it is not running with this version any more; answers whether it was.
  [[nodiscard]] Result<bool> take_back(const std::string& id, const std::string& to,
                                       const std::string& reason);
  // Hears what hosts have told since, and takes back what must go.
  void look(std::chrono::steady_clock::time_point now);

  [[nodiscard]] std::optional<v1::Rollout> view(const std::string& tenant,
                                                const std::string& module);
  [[nodiscard]] std::vector<v1::Rollout> views(const std::string& tenant,
                                               const std::string& module);
  // That hosts are to count: both versions of all that are running.
  [[nodiscard]] std::vector<std::string> counted() const;
  // Whether this is of a rollout that runs.
  [[nodiscard]] bool counts(const v1::ModuleCounts& counts) const;

  [[nodiscard]] std::uint64_t taken_back() const { return taken_back_; }

 private:
  struct Judged {
    std::string from, to;
    RolloutJudge before, after;
    bool heard = false;  // once: what comes from now on is new
  };
  struct Bad {
    std::string id, to, reason;
  };
  [[nodiscard]] std::vector<Bad> judge(std::chrono::steady_clock::time_point now);  // locked
  // Adds the sessions and calls of both versions. Sessions are gone through once for all of them.
  void describe(std::span<v1::Rollout> views);

  Tables& tables_;
  Ledger& ledger_;
  mutable std::mutex mutex_;
  std::map<std::string, Judged> judged_;  // by rollout
  std::atomic<std::uint64_t> taken_back_ = 0;
};

}  // namespace aloft::cluster
