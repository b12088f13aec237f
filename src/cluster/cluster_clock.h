// Time of a cluster, by which tickets and sessions expire: it never goes back, and nobody who sets
// a clock on a wall moves it.
//
// A manager's estimate is what the store's key `clock` said when it was last read, and the time
// that has passed since by CLOCK_BOOTTIME. Every second a manager reads the key, goes on from there
// if that is later, and writes its own estimate if that is later by half a second or more. So all
// managers agree within about a second, and time goes on as long as one of them lives; while the
// store cannot be reached, each goes on by itself.
//
// When no manager has lived for a while, time stands still unless the record is of this very
// machine and it was not started anew since. Hosts, though, have gone on: what they say moves a new
// manager's clock forward (`at_least`), in the first minute of its life only, so that no host can
// make everything expire later on.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cluster/store.h"
#include "identity/ticket.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct ClusterClockOptions {
  std::chrono::milliseconds period{1'000};
  // How long at_least() is believed after a start.
  std::chrono::seconds trust{60};
  BootClockSource clock = &BootClock::now;
  // One start of the machine from the next; empty: what the kernel says.
  std::string boot_id;
};

// Thread rule: any thread. The store must outlive it.
class ClusterClock {
 public:
  // Reads the record, or makes the first one. Errors: the store's.
  [[nodiscard]] static Result<std::unique_ptr<ClusterClock>> start(
      Store& store, ClusterClockOptions options = {});
  ~ClusterClock();
  ClusterClock(const ClusterClock&) = delete;
  ClusterClock& operator=(const ClusterClock&) = delete;

  // Never less than an earlier answer of this object. Never waits.
  [[nodiscard]] identity::ClusterTime now() const;
  // A host says that it is so late at least.
  void at_least(identity::ClusterTime time);

 private:
  struct Impl;
  explicit ClusterClock(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::cluster
