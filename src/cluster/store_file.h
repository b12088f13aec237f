// The file of an EmbeddedStore: a database of SQLite's with the entries, the leases and the last
// revision. It knows nothing of conditions, leases' times or watches; it loads everything once, and
// writes changes so that all or none of them outlive the process and the machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cluster/store.h"
#include <aloft/result.h>

namespace aloft::cluster {

struct StoredEntry {
  std::string value;
  Revision revision = 0;
  LeaseId lease = 0;
};

struct StoreContents {
  std::map<std::string, StoredEntry, std::less<>> entries;
  std::map<LeaseId, std::chrono::seconds> leases;  // how long each lasts
  Revision revision = 0;
};

// What becomes of some of it; none: it goes.
struct StoreChanges {
  std::map<std::string, std::optional<StoredEntry>, std::less<>> entries;
  std::map<LeaseId, std::optional<std::chrono::seconds>> leases;
  Revision revision = 0;

  [[nodiscard]] bool empty() const { return entries.empty() && leases.empty(); }
};

// What a change survives once it was answered. Both survive the end of the process, kill -9
// included.
enum class Survives : std::uint8_t {
  power_cut,  // it is on the disk
  kill,  // the system has it: a machine that fails loses the last ones, and nothing before them
};

// Thread rule: one thread at a time.
class StoreFile {
 public:
  // See EmbeddedStore::open.
  [[nodiscard]] static Result<StoreFile> open(const std::filesystem::path& file, Survives survives);
  StoreFile(StoreFile&&) noexcept;
  StoreFile& operator=(StoreFile&&) = delete;
  ~StoreFile();

  [[nodiscard]] Result<StoreContents> load();
  // It survives what it is to survive when this returns. Errors: resource_exhausted (nothing of it
  // was written), unreachable (the disk failed: nobody knows), corrupt, internal. Once the disk has
  // failed to synchronise, what it has is unknown until the file is opened again: all later writes
  // fail.
  [[nodiscard]] Result<void> write(const StoreChanges& changes);

 private:
  struct Impl;
  explicit StoreFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::cluster
