#include "oci/manifest.h"

#include <algorithm>
#include <utility>

#include "oci/json.h"

namespace aloft::oci {
namespace {

constexpr std::size_t kMaxLayers = 1024;

Result<Annotations> read_annotations(const Json& of) {
  Annotations annotations;
  const Json* found = member(of, "annotations");
  if (found == nullptr || found->is_null()) return annotations;
  if (!found->is_object()) return fail(Errc::corrupt, "the manifest's annotations are no object");
  for (const auto& [key, value] : found->items()) {
    const auto* shown = value.get_ptr<const std::string*>();
    if (shown == nullptr)
      return fail(Errc::corrupt, "the annotation " + printable(key) + " is no text");
    annotations.emplace(key, *shown);
  }
  return annotations;
}

Result<Descriptor> read_descriptor(const Json& json) {
  const std::string* media_type = text(json, "mediaType");
  const std::string* digest = text(json, "digest");
  const auto size = number(json, "size");
  if (media_type == nullptr || digest == nullptr || !size)
    return fail(Errc::corrupt, "the manifest has a part without mediaType, digest or size");
  if (!digest->starts_with("sha256:")) {
    return fail(Errc::refused, "the manifest names a part by " + printable(*digest) +
                                   "; only SHA-256 digests are taken");
  }
  const auto parsed = Digest::parse(*digest);
  if (!parsed)
    return fail(Errc::corrupt,
                "the manifest names a part by " + printable(*digest) + ", which is no digest");
  auto annotations = read_annotations(json);
  if (!annotations) return std::unexpected(annotations.error());
  return Descriptor{*media_type, *parsed, *size, *std::move(annotations)};
}

Json to_json(const Descriptor& part) {
  Json json = {{"mediaType", part.media_type},
               {"digest", "sha256:" + part.digest.hex()},
               {"size", part.size}};
  if (!part.annotations.empty()) json["annotations"] = part.annotations;
  return json;
}

}  // namespace

Result<Manifest> parse_manifest(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxManifest.count())
    return fail(Errc::refused, "the manifest is larger than 1 MiB");
  const auto json = parse_json(bytes, "the manifest");
  if (!json) return std::unexpected(json.error());
  const std::string* type = text(*json, "mediaType");
  if (type != nullptr && *type != kManifestType) {
    return fail(Errc::refused, "it is of type " + printable(*type) + ", not an OCI image manifest");
  }
  if (member(*json, "manifests") != nullptr)
    return fail(Errc::refused, "it is a list of manifests, not one artifact");
  const Json* config = member(*json, "config");
  const Json* layers = member(*json, "layers");
  if (number(*json, "schemaVersion") != 2 || config == nullptr || layers == nullptr ||
      !layers->is_array())
    return fail(Errc::corrupt, "it is no OCI image manifest");
  if (layers->size() > kMaxLayers)
    return fail(Errc::refused, "the manifest has more than 1,024 layers");

  Manifest manifest;
  manifest.bytes.assign(bytes.begin(), bytes.end());
  manifest.digest = sha256(bytes);
  if (const std::string* artifact = text(*json, "artifactType")) manifest.artifact_type = *artifact;
  auto config_part = read_descriptor(*config);
  if (!config_part) return std::unexpected(config_part.error());
  manifest.config = *std::move(config_part);
  for (const Json& layer : *layers) {
    auto part = read_descriptor(layer);
    if (!part) return std::unexpected(part.error());
    manifest.layers.push_back(*std::move(part));
  }
  auto annotations = read_annotations(*json);
  if (!annotations) return std::unexpected(annotations.error());
  manifest.annotations = *std::move(annotations);
  return manifest;
}

Manifest make_manifest(std::string artifact_type, Descriptor config, std::vector<Descriptor> layers,
                       Annotations annotations) {
  Json json = {{"schemaVersion", 2},
               {"mediaType", kManifestType},
               {"config", to_json(config)},
               {"layers", Json::array()}};
  if (!artifact_type.empty()) json["artifactType"] = artifact_type;
  for (const Descriptor& layer : layers) json["layers"].push_back(to_json(layer));
  if (!annotations.empty()) json["annotations"] = annotations;
  Manifest manifest;
  manifest.bytes = json_bytes(json);
  manifest.digest = sha256(manifest.bytes);
  manifest.artifact_type = std::move(artifact_type);
  manifest.config = std::move(config);
  manifest.layers = std::move(layers);
  manifest.annotations = std::move(annotations);
  return manifest;
}

}  // namespace aloft::oci
