// Where a tenant's Execution Handlers are, one after the other: folders, a user, a control group, a
// listening socket, a boot id, a key for resumption secrets, and at first a process that is in its
// sandbox and ready.
//
//     folder/modules, folder/compiled   what it is shown
//     folder/root                       where it mounts its own root
//
// Nothing of it depends on whose it will be: the first thing that a handler hears after its start,
// and before anything else that is a tenant's, is to whom it belongs (process/tenant_link.h,
// BelongTo). So a host can make a place in advance (spare_places.h). It never belongs to a second
// one: what a tenant leaves goes with its place.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/control/cgroup.h"
#include "host/process/child.h"
#include "host/process/listening_socket.h"
#include "host/tenant_link.h"
#include "net/address.h"
#include "ops/log.h"
#include <aloft/result.h>

namespace aloft::host {

// What tells the places of a host apart, from 0 on; the lowest that is free comes next. Thread
// rule: any thread.
class PlaceNumbers {
 public:
  class Claim {
   public:
    Claim(Claim&& other) noexcept;
    Claim& operator=(Claim&&) = delete;
    ~Claim();  // it is free again
    [[nodiscard]] std::uint32_t number() const { return number_; }

   private:
    friend class PlaceNumbers;
    Claim(std::shared_ptr<PlaceNumbers> of, std::uint32_t number);
    std::shared_ptr<PlaceNumbers> of_;
    std::uint32_t number_;
  };
  [[nodiscard]] static Claim claim(std::shared_ptr<PlaceNumbers> of);

 private:
  std::mutex mutex_;
  std::set<std::uint32_t> taken_;
};

// A process of aloft-exec that is confined, and serves nobody yet.
struct ReadyHandler {
  ReadyHandler(Child process, TenantLink line) : child(std::move(process)), link(std::move(line)) {}
  Child child;  // waits for the handler itself, which is in the sandbox
  TenantLink link;
  pid_t pid = -1;                    // of the handler itself
  std::vector<std::string> missing;  // of its sandbox
};

struct TenantPlaceOptions {
  std::filesystem::path program;  // aloft-exec
  std::filesystem::path folder;   // is made, and goes with the place
  std::string cgroup;             // the name of its control group, of no other place of the machine
  // Folders, boot id and resumption key are made here.
  TenantSetup setup;
  net::Address listen;  // port 0: a free one
  ops::LogFormat log_format = ops::LogFormat::text;
  std::chrono::milliseconds start_limit{10'000};
};

// Thread rule: one thread at a time, but address() and boot_id(): any.
class TenantPlace {
 public:
  // Returns when its first handler is ready. Errors: unreachable (the address), refused (the
  // sandbox), not_found (no program), deadline_exceeded, what keeps the handler from starting.
  [[nodiscard]] static Result<std::unique_ptr<TenantPlace>> make(TenantPlaceOptions options,
                                                                 PlaceNumbers::Claim number);
  ~TenantPlace();  // the process that nobody took ends; the folder is removed
  TenantPlace(const TenantPlace&) = delete;
  TenantPlace& operator=(const TenantPlace&) = delete;

  [[nodiscard]] const net::Address& address() const { return socket_.address(); }
  [[nodiscard]] const std::string& boot_id() const { return options_.setup.boot_id; }
  [[nodiscard]] const TenantSetup& setup() const { return options_.setup; }
  [[nodiscard]] Cgroup& cgroup() { return cgroup_; }

  // The one that was made with the place; null: it was taken.
  [[nodiscard]] std::unique_ptr<ReadyHandler> take_handler() { return std::move(first_); }
  // Another one; `inference_process` as in TenantSetup. Errors: as make's.
  [[nodiscard]] Result<std::unique_ptr<ReadyHandler>> start_handler(
      const std::string& inference_process);

 private:
  TenantPlace(TenantPlaceOptions options, ListeningSocket socket, PlaceNumbers::Claim number);
  [[nodiscard]] Result<void> make_folders();
  [[nodiscard]] Result<void> wait_until_ready(ReadyHandler& handler) const;

  const PlaceNumbers::Claim number_;  // first: it is free when all else is gone
  TenantPlaceOptions options_;
  ListeningSocket socket_;
  Cgroup cgroup_;
  std::unique_ptr<ReadyHandler> first_;
};

}  // namespace aloft::host
