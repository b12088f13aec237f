// What a Host Offload Handler keeps of each tenant, and reads from a request. Private to its
// sources.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "host/control/offload_handler.h"

namespace aloft::host {

struct OffloadHandler::Wanted {
  struct Module {
    std::string name;
    Digest digest;
  };
  std::vector<Module> modules;
  oci::Verification verification;
  std::set<std::string, std::less<>> imports{"wasi_snapshot_preview1"};
};

struct OffloadHandler::Tenant {
  std::string name;
  std::atomic<int> preparing = 0;  // it is wanted, and not to be ended

  std::mutex mutex;
  std::unique_ptr<TenantProcess> process;  // null: not started yet
  struct Session {
    std::uint64_t generation = 0;
    v1::Resources resources;
  };
  std::map<std::string, Session, std::less<>> sessions;
  std::uint64_t memory = 0;  // the limit that it has; it never shrinks under what may be in use
};

}  // namespace aloft::host
