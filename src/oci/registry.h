// A repository in an OCI registry, spoken to as the OCI Distribution Specification says, over
// HTTPS.
//
// In clear only on the loopback interface: the password would be anybody's, and what is not signed
// too. Neither a redirection nor a registry's word about where to get a token or where to send a
// blob leads out of that rule, and credentials go to the registry itself and to the place of tokens
// that it names, to nobody else.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/units.h"
#include "oci/repository.h"

namespace aloft::oci {

struct RegistryOptions {
  std::filesystem::path authority = {};    // PEM; empty: those that the system trusts
  std::filesystem::path certificate = {};  // PEM, shown to the registry; empty: none
  std::filesystem::path key = {};          // of the certificate
  std::string user = {}, password = {};    // empty: none
  unsigned attempts = 4;                   // of each request, as far as trying again may help
  std::chrono::milliseconds first_pause{
      250};  // before the second one; then four times as long each
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds stall_timeout{20'000};   // without a byte
  std::chrono::milliseconds answer_timeout{60'000};  // of a request that is not for a blob
  std::chrono::milliseconds blob_timeout{1'800'000};
  Bytes chunk = 8_MiB;  // blobs longer than that are sent in pieces of that
};

// Thread rule and errors: Repository's.
class Registry final : public Repository {
 public:
  // "https://HOST[:PORT]/NAME". Nothing is sent yet. Errors: invalid_argument, not_found (a file of
  // the options).
  [[nodiscard]] static Result<std::unique_ptr<Registry>> open(std::string_view url,
                                                              RegistryOptions options);
  ~Registry() override;

  [[nodiscard]] const std::string& name() const override;
  [[nodiscard]] Result<Manifest> resolve(const Reference& reference) override;
  [[nodiscard]] Result<std::vector<std::string>> tags() override;
  [[nodiscard]] Result<void> push_blob(const Blob& blob) override;
  [[nodiscard]] Result<void> push_manifest(const Manifest& manifest,
                                           std::span<const Reference> tags) override;

 private:
  class Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  [[nodiscard]] Result<void> stream_blob(const Digest& digest, Bytes max,
                                         const BlobSink& sink) override;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::oci
