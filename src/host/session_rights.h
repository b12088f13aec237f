// What a session may do at an Execution Handler of a cluster: what its ticket says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/digest.h"
#include "ops/log.h"

namespace aloft::host {

// Memory for the guest instances of a session's movable ends, which outlive its connections.
// Thread rule: any thread.
class EndMemory : public std::enable_shared_from_this<EndMemory> {
 public:
  // `module`, which has classes, adds this much; the same module once.
  void allow(const Digest& module, std::uint64_t bytes);
  // Counted until the claim is dropped; null when there is no room.
  [[nodiscard]] std::shared_ptr<const void> take(std::uint64_t bytes);

 private:
  std::mutex mutex_;
  std::map<Digest, std::uint64_t> shares_;
  std::uint64_t taken_ = 0;
};

struct SessionRights {
  std::string session;  // the cluster's id of it
  std::uint64_t generation = 0;
  std::vector<Digest> modules;     // that it may open
  std::uint64_t memory_bytes = 0;  // of all instances together; 0: as the handler has it for all
  std::shared_ptr<EndMemory> ends{};
  std::string trace{};  // under which its open is found in the logs of all; empty: unknown
};
// What lines of a log that belong to such a session say of it; null: to none of a cluster's.
[[nodiscard]] ops::LogFields log_fields(const SessionRights* rights);

// How a module's part of a session's memory is used.
struct MemoryShare {
  std::uint64_t instance = 0;   // bytes of one instance
  std::uint32_t instances = 0;  // that are kept warm; 0: there is no room for one
  std::uint64_t ends = 0;       // bytes for the instances of movable ends
};
// `rights`: with memory_bytes. `wanted` instances, each of at most `limit` bytes.
[[nodiscard]] MemoryShare share_memory(const SessionRights& rights, std::uint32_t wanted,
                                       std::uint64_t limit, bool has_classes);

}  // namespace aloft::host
