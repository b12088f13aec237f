// Where modules and models lie: a repository of OCI artifacts.
//
// Two of them: ImageLayout (a folder, the default) and Registry (any OCI registry over HTTPS). Both
// only store blobs by SHA-256 and manifests by tag; what an artifact of aloft's is stands above, in
// artifact.h, and docs/repository.md says it to users.
//
// A repository is not trusted: it may lose what it has, and it may lie. It can therefore make a
// fetch fail, and nothing else: every byte is checked against the digest that was asked for, and
// every size against a bound, before anything is said to be there.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/units.h"
#include "oci/blob.h"
#include "oci/manifest.h"
#include "oci/reference.h"
#include <aloft/result.h>

namespace aloft::oci {

// Takes a blob's bytes in order; an error that it gives ends the fetch and is its error.
using BlobSink = std::function<Result<void>(std::span<const std::byte>)>;

// Thread rule: any thread, several at once; the calls wait for disk and network, in bounded time.
// Errors of all calls: unreachable (network, after some attempts; or no answer in time), refused
// (not allowed, certificate or password wrong), corrupt (other bytes than their digest says),
// protocol (no sane answer), overloaded (told to come later, or a lock not free), internal.
class Repository {
 public:
  virtual ~Repository() = default;

  // As a person would write it: a folder, or HOST[:PORT]/NAME.
  [[nodiscard]] virtual const std::string& name() const = 0;

  // Errors: not_found.
  [[nodiscard]] virtual Result<Manifest> resolve(const Reference& reference) = 0;
  // All tags, sorted; at most 100,000.
  [[nodiscard]] virtual Result<std::vector<std::string>> tags() = 0;

  // Streams the blob. What the sink got is the blob only when this succeeds: its digest is known
  // after the last byte. Errors: not_found, resource_exhausted (longer than `max`), the sink's.
  [[nodiscard]] Result<void> fetch_blob(const Digest& digest, Bytes max, const BlobSink& sink);
  // Into memory. Errors: as above.
  [[nodiscard]] Result<std::vector<std::byte>> read_blob(const Digest& digest, Bytes max);
  // Into a file, which appears whole under its name or not at all, in place of one that is there.
  // Errors: as above; resource_exhausted (no room on the disk), internal.
  [[nodiscard]] Result<void> save_blob(const Digest& digest, Bytes max,
                                       const std::filesystem::path& into);

  // One that is there already is not sent again. Errors: resource_exhausted.
  [[nodiscard]] virtual Result<void> push_blob(const Blob& blob) = 0;
  // Stores the manifest, and lets each of the tags (Reference::of_tag) mean it from now on,
  // wherever it pointed. Its blobs must be there. Errors: not_found (one is not),
  // resource_exhausted.
  [[nodiscard]] virtual Result<void> push_manifest(const Manifest& manifest,
                                                   std::span<const Reference> tags) = 0;

 private:
  // Gives the sink the bytes as they are stored, unchecked, at most `max` and one piece.
  [[nodiscard]] virtual Result<void> stream_blob(const Digest& digest, Bytes max,
                                                 const BlobSink& sink) = 0;
};

struct RegistryOptions;
enum class Missing { fail, make };  // a folder that is not there

// `location`: "https://HOST[:PORT]/NAME" is a registry ("http://" for the loopback interface only),
// all else a folder, with or without "oci:" before it. Nothing is sent yet. Errors:
// invalid_argument, not_found (no folder; or the authority's file), corrupt (a folder that holds
// something else), internal.
[[nodiscard]] Result<std::unique_ptr<Repository>> open_repository(std::string_view location,
                                                                  const RegistryOptions& options,
                                                                  Missing missing = Missing::fail);

}  // namespace aloft::oci
