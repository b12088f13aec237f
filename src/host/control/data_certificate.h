// The certificate of a host's data plane, renewed while it runs: what comes to be in its files is
// shown by tenants' processes from the next connection on. Processes that start later read the
// files themselves.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "config/reloaded.h"
#include "host/control/offload_handler.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread.
class DataCertificate {
 public:
  // `handler` outlives it. Errors: those of identity::read_key_file, corrupt, internal.
  [[nodiscard]] static Result<std::unique_ptr<DataCertificate>> watch(
      OffloadHandler& handler, const std::filesystem::path& certificate,
      const std::filesystem::path& key);

  // Reads the files now. What is not good is logged, and what was shown stays.
  void reload() { (void)files_->reload(); }

 private:
  struct Texts {
    std::string certificate, key;
    [[nodiscard]] bool operator==(const Texts&) const = default;
  };
  using Files = config::Reloaded<Texts>;
  explicit DataCertificate(std::unique_ptr<Files> files) : files_(std::move(files)) {}
  [[nodiscard]] static Result<Texts> read(const std::filesystem::path& certificate,
                                          const std::filesystem::path& key);

  const std::unique_ptr<Files> files_;
};

}  // namespace aloft::host
