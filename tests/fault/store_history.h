// All that ever happened in a cluster's etcd, from its first revision on, with the moment at which
// each change was heard of: what a test judges a cluster by when it is over.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/store.h"
#include <aloft/result.h>

namespace aloft::testing {

// Thread rule: one thread at a time.
class StoreHistory {
 public:
  using Clock = std::chrono::steady_clock;

  // Of the cluster of this name. Errors: those of EtcdStore::open and Store::watch.
  [[nodiscard]] static Result<std::unique_ptr<StoreHistory>> follow(
      std::vector<std::string> endpoints, const std::string& cluster = "default");

  // Waits until it has what the store has now. Errors: unreachable, deadline_exceeded, corrupt (a
  // part is missing, and nothing can be said any more).
  [[nodiscard]] Result<void> catch_up(std::chrono::milliseconds limit);

  // What is wrong with it, the first few; empty: at each revision no host had promised more than it
  // has, and what it had promised was what its sessions have, those included that were leaving it.
  [[nodiscard]] std::vector<std::string> violations() const;
  [[nodiscard]] std::size_t changes() const;

  // Sessions that were at `host` at that moment.
  [[nodiscard]] std::vector<std::string> sessions_at(const std::string& host,
                                                     Clock::time_point when) const;
  // When the session was first at another place than `host` after `when`, ready to be used. None:
  // it has not been yet.
  [[nodiscard]] std::optional<Clock::time_point> moved_from(const std::string& host,
                                                            const std::string& session,
                                                            Clock::time_point when) const;
  // Whether there is a record of the host now, as far as is known.
  [[nodiscard]] bool is_registered(const std::string& host) const;

 private:
  struct Heard {
    cluster::Event event;
    Clock::time_point at;
  };
  StoreHistory() = default;

  std::unique_ptr<cluster::Store> store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Heard> heard_;
  bool lost_ = false;
  std::unique_ptr<cluster::Watch> watch_;  // last: it uses all of the above
};

}  // namespace aloft::testing
