#include "oci/signature.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "identity/base64.h"
#include "oci/json.h"

namespace aloft::oci {
namespace {

constexpr const char* kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr const char* kImageConfigType = "application/vnd.oci.image.config.v1+json";
constexpr const char* kSignatureAnnotation = "dev.cosignproject.cosign/signature";
constexpr std::string_view kClaimType = "cosign container image signature";

constexpr Bytes kMaxPayload = 64_KiB;
constexpr std::size_t kMaxSignature = 1024;  // in base64
// More are not looked at: whoever may write to the repository must not keep a verifier busy.
constexpr std::size_t kMaxSignatures = 64;

struct Signed {
  Descriptor layer;
  std::vector<std::byte> payload;
  std::vector<std::byte> signature;
};

// What is signed. A folder has no name that holds elsewhere.
std::vector<std::byte> claim(std::string_view repository, const Digest& manifest) {
  if (repository.starts_with('/')) repository = "";
  return json_bytes({{"critical",
                      {{"identity", {{"docker-reference", repository}}},
                       {"image", {{"docker-manifest-digest", "sha256:" + manifest.hex()}}},
                       {"type", kClaimType}}},
                     {"optional", nullptr}});
}

// Whether a document that somebody trusted has signed is about this manifest.
bool is_about(std::span<const std::byte> payload, const Digest& manifest) {
  const auto json = parse_json(payload, "the signature");
  if (!json) return false;
  const Json* critical = member(*json, "critical");
  if (critical == nullptr) return false;
  const std::string* type = text(*critical, "type");
  const Json* image = member(*critical, "image");
  if (type == nullptr || *type != kClaimType || image == nullptr) return false;
  const std::string* digest = text(*image, "docker-manifest-digest");
  return digest != nullptr && *digest == "sha256:" + manifest.hex();
}

// The signatures that the repository has, of whomever; none when it has no such tag. What is not
// laid out as it should be is left out: it proves nothing, and must not hide the others.
Result<std::vector<Signed>> read_signatures(Repository& repository, const Digest& of) {
  const auto manifest = repository.resolve(signature_tag(of));
  if (!manifest) {
    if (manifest.error().code == Errc::not_found) return std::vector<Signed>{};
    return std::unexpected(manifest.error());
  }
  std::vector<Signed> found;
  for (const Descriptor& layer : manifest->layers) {
    if (found.size() == kMaxSignatures) break;
    const auto annotation = layer.annotations.find(kSignatureAnnotation);
    if (layer.media_type != kPayloadType || layer.size > kMaxPayload.count() ||
        annotation == layer.annotations.end() || annotation->second.size() > kMaxSignature)
      continue;
    auto signature = identity::from_base64(annotation->second);
    if (!signature) continue;
    auto payload = repository.read_blob(layer.digest, kMaxPayload);
    if (!payload) {
      const Errc code = payload.error().code;
      if (code == Errc::not_found || code == Errc::corrupt || code == Errc::resource_exhausted)
        continue;
      return std::unexpected(payload.error());
    }
    found.push_back({layer, *std::move(payload), *std::move(signature)});
  }
  return found;
}

bool is_by(const Signed& entry, const identity::PublicKey& key, const Digest& manifest) {
  return key.verify(entry.payload, entry.signature) && is_about(entry.payload, manifest);
}

// An image configuration, which cosign and others expect beside the layers.
std::vector<std::byte> configuration(const std::vector<Descriptor>& layers) {
  Json config = {{"architecture", ""},
                 {"config", Json::object()},
                 {"created", "0001-01-01T00:00:00Z"},
                 {"history", Json::array()},
                 {"os", ""},
                 {"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
  for (const Descriptor& layer : layers) {
    config["history"].push_back({{"created", "0001-01-01T00:00:00Z"}});
    config["rootfs"]["diff_ids"].push_back("sha256:" + layer.digest.hex());
  }
  return json_bytes(config);
}

Result<void> store(Repository& repository, const Digest& of,
                   const std::vector<std::vector<std::byte>>& payloads,
                   std::vector<Descriptor> layers) {
  for (const auto& payload : payloads)
    if (auto pushed = repository.push_blob(Blob::of(payload)); !pushed) return pushed;
  const Blob config = Blob::of(configuration(layers));
  if (auto pushed = repository.push_blob(config); !pushed) return pushed;
  const Reference tag = signature_tag(of);
  return repository.push_manifest(
      make_manifest("", {kImageConfigType, config.digest(), config.size()}, std::move(layers), {}),
      std::span(&tag, 1));
}

}  // namespace

Result<void> sign(Repository& repository, const Digest& manifest, const SignerKey& key) {
  const auto payload = claim(repository.name(), manifest);
  const auto signature = key.sign(payload);
  if (!signature) return std::unexpected(signature.error());
  // A registry has no way to change a tag only if it is still what it was. Two that sign at once
  // may overwrite each other; so whoever has written looks whether it is still there.
  for (int attempt = 0; attempt < 8; ++attempt) {
    const auto there = read_signatures(repository, manifest);
    if (!there) return std::unexpected(there.error());
    if (std::ranges::any_of(
            *there, [&](const Signed& entry) { return is_by(entry, key.public_key(), manifest); }))
      return {};
    if (there->size() == kMaxSignatures) {
      return fail(Errc::resource_exhausted,
                  "sha256:" + manifest.hex() + " has 64 signatures already");
    }
    std::vector<Descriptor> layers;
    for (const Signed& entry : *there) layers.push_back(entry.layer);
    layers.push_back({kPayloadType,
                      sha256(payload),
                      payload.size(),
                      {{kSignatureAnnotation, identity::to_base64(*signature)}}});
    if (auto stored = store(repository, manifest, {payload}, std::move(layers)); !stored)
      return stored;
  }
  return fail(Errc::overloaded, "others sign sha256:" + manifest.hex() + " in " +
                                    repository.name() + " all the time; sign it again later");
}

Result<identity::PublicKey> verify(Repository& repository, const Digest& manifest,
                                   std::span<const identity::PublicKey> signers) {
  const std::string what = "sha256:" + manifest.hex() + " in " + repository.name();
  if (signers.empty())
    return fail(Errc::refused, "no publisher's key is trusted, so nothing can be: " + what);
  const auto entries = read_signatures(repository, manifest);
  if (!entries) return std::unexpected(entries.error());
  for (const identity::PublicKey& signer : signers)
    for (const Signed& entry : *entries)
      if (is_by(entry, signer, manifest)) return signer;
  if (entries->empty()) return fail(Errc::refused, what + " is not signed");
  return fail(Errc::refused, what + " is signed, but not with any of the keys that are trusted (" +
                                 std::to_string(entries->size()) + " signatures, " +
                                 std::to_string(signers.size()) + " keys)");
}

}  // namespace aloft::oci
