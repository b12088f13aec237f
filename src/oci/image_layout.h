// A repository in a folder, as the OCI Image Layout has it: oci-layout, index.json, and the blobs
// under blobs/sha256. skopeo, oras and others read and write it.
//
// Many processes may read and write at once. A blob appears whole under its name. index.json is
// replaced as a whole, by whoever holds the lock (flock on index.json.lock, which the system frees
// when its holder dies); readers need no lock. What was written is on the disk before it is named.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "oci/repository.h"

namespace aloft::oci {

// Thread rule and errors: Repository's.
class ImageLayout final : public Repository {
 public:
  // Errors: not_found (no folder, or it holds no layout), corrupt (of a version unknown here, or a
  // folder that holds something else), internal.
  [[nodiscard]] static Result<std::unique_ptr<ImageLayout>> open(std::filesystem::path folder,
                                                                 Missing missing = Missing::fail);

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] Result<Manifest> resolve(const Reference& reference) override;
  [[nodiscard]] Result<std::vector<std::string>> tags() override;
  [[nodiscard]] Result<void> push_blob(const Blob& blob) override;
  [[nodiscard]] Result<void> push_manifest(const Manifest& manifest,
                                           std::span<const Reference> tags) override;

 private:
  explicit ImageLayout(std::filesystem::path folder)
      : folder_(std::move(folder)), name_(folder_.string()) {}
  [[nodiscard]] Result<void> stream_blob(const Digest& digest, Bytes max,
                                         const BlobSink& sink) override;
  [[nodiscard]] std::filesystem::path blob_path(const Digest& digest) const;

  const std::filesystem::path folder_;
  const std::string name_;
};

}  // namespace aloft::oci
