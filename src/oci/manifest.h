// An OCI image manifest: the small JSON document that says of which blobs an artifact consists.
//
// What comes from a repository is believed by nobody: a manifest is parsed with bounds on its size,
// its depth and the number of its parts, and of each part only the SHA-256 counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/units.h"
#include <aloft/result.h>

namespace aloft::oci {

inline constexpr std::string_view kManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr Bytes kMaxManifest = 1_MiB;

using Annotations = std::map<std::string, std::string>;

// A blob by what it is.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;  // bytes
  Annotations annotations = {};
};

struct Manifest {
  std::vector<std::byte> bytes;  // as they are stored; what the digest and signatures are of
  Digest digest;
  std::string artifact_type;  // empty: none
  Descriptor config;
  std::vector<Descriptor> layers;  // at most 1,024
  Annotations annotations;
};

// Errors: corrupt (no manifest), refused (a list of manifests, or of another format; a digest other
// than SHA-256; too large).
[[nodiscard]] Result<Manifest> parse_manifest(std::span<const std::byte> bytes);

// Fills in `bytes` and `digest` from the rest. The same parts give the same bytes.
[[nodiscard]] Manifest make_manifest(std::string artifact_type, Descriptor config,
                                     std::vector<Descriptor> layers, Annotations annotations);

}  // namespace aloft::oci
