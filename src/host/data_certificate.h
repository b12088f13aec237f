// The certificate of a host's data plane, renewed while it runs: what comes to be in its files is
// shown by tenants' processes from the next connection on. Processes that start later read the
// files themselves.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "config/folder_watch.h"
#include "host/offload_handler.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread.
class DataCertificate {
 public:
  // `handler` outlives it. Errors: those of identity::read_key_file, corrupt, internal.
  [[nodiscard]] static Result<std::unique_ptr<DataCertificate>> watch(
      OffloadHandler& handler, std::filesystem::path certificate, std::filesystem::path key);

  // Reads the files now. What is not good is logged, and what was shown stays.
  void reload();

 private:
  DataCertificate(OffloadHandler& handler, std::filesystem::path certificate,
                  std::filesystem::path key)
      : handler_(handler), certificate_(std::move(certificate)), key_(std::move(key)) {}
  struct Texts {
    std::string certificate, key;
    [[nodiscard]] bool operator==(const Texts&) const = default;
  };
  [[nodiscard]] Result<Texts> read() const;

  OffloadHandler& handler_;
  const std::filesystem::path certificate_, key_;
  std::mutex mutex_;
  Texts shown_;
  std::string complaint_;                       // said once
  std::unique_ptr<config::FolderWatch> watch_;  // last: it uses all of the above
};

}  // namespace aloft::host
