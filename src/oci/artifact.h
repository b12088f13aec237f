// Modules and models as OCI artifacts: a manifest, a configuration, and one layer, the file itself.
//
// A module is in the CNCF's layout for WebAssembly (configuration
// application/vnd.wasm.config.v0+json, layer application/wasm), a model in the CNCF's ModelPack (an
// ONNX file is its one weight layer). Everyone in a cluster knows a module by the SHA-256 of the
// sealed file, which is its layer's digest: content_tag() leads from there to the manifest. The tag
// is a hint only. What is fetched is what was asked for or nothing, since the layer is checked
// against the digest, and the signature is of the manifest, which names the layer.
//
//   auto repository = open_repository("https://registry.example.org/team/modules", options);
//   fetch_module(**repository, digest, folder / "module.wasm", {.signers = keys});
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/units.h"
#include "identity/public_key.h"
#include "oci/manifest.h"
#include "oci/repository.h"
#include <aloft/result.h>

namespace aloft::oci {

enum class Kind { module, model };
[[nodiscard]] std::string_view to_string(Kind kind);

struct Artifact {
  Kind kind = Kind::module;
  std::string name;    // of the module; checked: see is_artifact_name()
  Descriptor content;  // the one layer; its digest is that by which the artifact is known
  Manifest manifest;
};

// 1 to 100 of letters, digits, '_', '.' and '-', beginning with a letter, a digit or '_': fit for a
// file's name and for a tag.
[[nodiscard]] bool is_artifact_name(std::string_view name);

// Errors: refused (not a module or model in one of the layouts above; the message says what it is).
[[nodiscard]] Result<Artifact> as_artifact(Manifest manifest);

// Pushes `content` and gives it its content tag and `tags`. The same content under the same name
// has the same manifest wherever it is pushed, so that signatures stay good. Errors:
// invalid_argument (the name), and those of Repository.
[[nodiscard]] Result<Artifact> push_artifact(Repository& repository, Kind kind,
                                             std::string_view name, const Blob& content,
                                             std::span<const Reference> tags);

// By its content. Errors: not_found, refused (it is of another kind), corrupt (the tag leads to
// something else), and those of Repository.
[[nodiscard]] Result<Artifact> find_artifact(Repository& repository, Kind kind,
                                             const Digest& content);

enum class Unsigned { refuse, allow };

// Whose artifacts are taken. Unsigned::allow: anybody's, and no signature is looked at.
struct Verification {
  std::vector<identity::PublicKey> signers;  // one of them must have signed
  Unsigned unsigned_artifacts = Unsigned::refuse;
};

struct Fetched {
  std::string name;
  Digest manifest;
  std::uint64_t size = 0;  // bytes
  std::string signer;      // key_id() of who signed; empty: no signature was asked for
};

inline constexpr Bytes kMaxModule = 256_MiB;
inline constexpr Bytes kMaxModel = 16_GiB;

// Finds the artifact by its content's digest, verifies it, and writes the file: whole, or not at
// all. Errors: not_found, refused (no good signature; no module), corrupt, resource_exhausted
// (longer than `max`; the disk is full), and those of Repository. Each message names the digest and
// the repository.
[[nodiscard]] Result<Fetched> fetch_module(Repository& repository, const Digest& content,
                                           const std::filesystem::path& into,
                                           const Verification& verification,
                                           Bytes max = kMaxModule);
[[nodiscard]] Result<Fetched> fetch_model(Repository& repository, const Digest& content,
                                          const std::filesystem::path& into,
                                          const Verification& verification, Bytes max = kMaxModel);

}  // namespace aloft::oci
