// Compiled modules on disk. Loading one runs it as machine code, so an entry counts only when it
// carries a keyed digest (HMAC-SHA-256) made with a random key that lies beside it, readable by its
// owner alone. Anything else is as if missing.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::runtime {

// Thread rule: any thread; also several processes on one folder.
class ArtifactCache {
 public:
  // Makes the folder (0700) and the key (0600) where they are missing. Errors: refused when another
  // user owns the folder or may write to it, internal when it cannot be used.
  [[nodiscard]] static Result<ArtifactCache> open(const std::filesystem::path& folder);

  // A folder that another process fills for this one: it and its key are there already, they belong
  // to root or to this user, nobody else may write to them, and store() does nothing. Errors:
  // refused, internal.
  [[nodiscard]] static Result<ArtifactCache> open_read_only(const std::filesystem::path& folder);

  // The artifact stored under `name`, or nothing when there is none or it was tampered with.
  [[nodiscard]] std::optional<std::vector<std::byte>> load(const std::string& name) const;
  // Replaces atomically. A failure to store is no error: the next start compiles again.
  void store(const std::string& name, std::span<const std::byte> artifact) const;

 private:
  ArtifactCache(std::filesystem::path folder, std::vector<std::byte> key)
      : folder_(std::move(folder)), key_(std::move(key)) {}
  std::filesystem::path folder_;
  std::vector<std::byte> key_;
  bool stores_ = true;
};

}  // namespace aloft::runtime
