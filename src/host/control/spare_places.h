// Places for tenants that are not here yet (tenant_place.h), with a process each that is confined
// and waits: a tenant's first session then costs no start of a process.
//
// One that was taken is made up for a moment later, so that the first session of who took it has
// the processors for itself. Where none is there, who comes makes a place for itself, as if there
// were no spare ones at all.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "host/control/tenant_place.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread.
class SparePlaces {
 public:
  using Make = std::function<Result<std::unique_ptr<TenantPlace>>()>;
  // `count`: how many are to be there; `make` is called on any thread, also on several.
  SparePlaces(std::size_t count, Make make);
  ~SparePlaces();  // end()
  SparePlaces(const SparePlaces&) = delete;
  SparePlaces& operator=(const SparePlaces&) = delete;

  // Errors: those of `make`; unreachable, after end().
  [[nodiscard]] Result<std::unique_ptr<TenantPlace>> take();
  // What they are made with has changed: those that are there go, others come.
  void renew();
  // Those that are there go, and none is made any more.
  void end();

 private:
  void keep(const std::stop_token& stop);

  const std::size_t count_;
  const Make make_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::unique_ptr<TenantPlace>> spare_;
  std::uint64_t version_ = 0;  // of what they are made with
  bool making_ = false;
  bool claimed_ = false;  // somebody waits for the one that is made
  bool failed_ = false;   // the last one could not be made: not again before somebody takes one
  bool taken_ = false;    // a moment ago
  bool ended_ = false;
  std::jthread keeper_;  // last: it uses all of the above
};

}  // namespace aloft::host
