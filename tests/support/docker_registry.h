// An OCI registry in a process of its own, with its files in a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "process.h"
#include <aloft/result.h>

namespace aloft::testing {

struct DockerRegistryOptions {
  std::filesystem::path certificate = {}, key = {};  // empty: in clear
  std::string htpasswd = {};                         // "user:bcrypt" lines; empty: for everybody
  std::uint16_t port = 0;                            // 0: a free one
};

class DockerRegistry {
 public:
  // `folder` must exist; a registry started again with it has what it had. Errors: not_found (no
  // such program: `./dev setup`), internal.
  [[nodiscard]] static Result<DockerRegistry> start(const std::filesystem::path& folder,
                                                    const DockerRegistryOptions& options = {});
  [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] Process& process() { return process_; }
  // Where it keeps a blob, by the 64 digits of its digest.
  [[nodiscard]] std::filesystem::path blob_file(const std::string& hex) const;

 private:
  DockerRegistry(Process process, std::filesystem::path data, std::uint16_t port)
      : process_(std::move(process)), data_(std::move(data)), port_(port) {}
  Process process_;
  std::filesystem::path data_;
  std::uint16_t port_;
};

}  // namespace aloft::testing
