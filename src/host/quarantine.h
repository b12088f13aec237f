// Digests of models and modules that brought a worker process down, kept on disk, so that no worker
// takes them again.
//
// One file a digest, with the reason as its text: what a person reads, and removes to allow the
// digest again. A worker writes it before it ends; its successor, which is running by then, sees it
// at the next use.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/digest.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread, any number of processes.
class Quarantine {
 public:
  // `folder` is made when the first digest comes in.
  explicit Quarantine(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // Errors: internal, naming the file that could not be written.
  [[nodiscard]] Result<void> add(const Digest& digest, const std::string& reason) const;
  // Success, or refused with the reason and the file to remove. `what`: "model", "module".
  [[nodiscard]] Result<void> check(const Digest& digest, const std::string& what) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace aloft::host
