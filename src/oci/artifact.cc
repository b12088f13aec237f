#include "oci/artifact.h"

#include <algorithm>
#include <utility>

#include "oci/json.h"
#include "oci/signature.h"

namespace aloft::oci {
namespace {

constexpr const char* kTitle = "org.opencontainers.image.title";

struct Layout {
  Kind kind;
  std::string_view artifact_type;  // empty: none; not looked at when reading
  std::string_view config_type;
  std::string_view layer_type;
  std::string_view file_annotation;  // of the layer, with the file's name
  std::string_view extension;
};
constexpr Layout kLayouts[] = {
    {Kind::module, "", "application/vnd.wasm.config.v0+json", "application/wasm",
     "org.opencontainers.image.title", ".wasm"},
    {Kind::model, "application/vnd.cncf.model.manifest.v1+json",
     "application/vnd.cncf.model.config.v1+json", "application/vnd.cncf.model.weight.v1.raw",
     "org.cncf.model.filepath", ".onnx"},
};

const Layout& layout_of(Kind kind) {
  return *std::ranges::find(kLayouts, kind, [](const Layout& layout) { return layout.kind; });
}

// Nothing in it depends on when, where or by whom it was made.
std::vector<std::byte> configuration(Kind kind, std::string_view name, const Digest& content) {
  const std::string digest = "sha256:" + content.hex();
  if (kind == Kind::module) {
    return json_bytes({{"created", "1970-01-01T00:00:00Z"},
                       {"architecture", "wasm"},
                       {"os", "wasip1"},
                       {"layerDigests", Json::array({digest})}});
  }
  return json_bytes({{"descriptor", {{"name", name}}},
                     {"config", {{"format", "onnx"}}},
                     {"modelfs", {{"type", "layers"}, {"diffIds", Json::array({digest})}}}});
}

Result<Fetched> fetch(Repository& repository, Kind kind, const Digest& content,
                      const std::filesystem::path& into, const Verification& verification,
                      Bytes max) {
  const auto artifact = find_artifact(repository, kind, content);
  if (!artifact) return std::unexpected(artifact.error());
  const std::string what = std::string(to_string(kind)) + " " + artifact->name +
                           " (sha256:" + content.hex() + ") in " + repository.name();
  Fetched fetched{artifact->name, artifact->manifest.digest, artifact->content.size, {}};
  if (verification.unsigned_artifacts == Unsigned::refuse) {
    const auto signer = verify(repository, artifact->manifest.digest, verification.signers);
    if (!signer) return fail(signer.error().code, what + ": " + signer.error().message);
    fetched.signer = key_id(*signer);
  }
  if (artifact->content.size > max.count()) {
    return fail(Errc::resource_exhausted, what + " has " + std::to_string(artifact->content.size) +
                                              " bytes, more than the " +
                                              std::to_string(max.count()) + " allowed");
  }
  // Its size is known: a byte more is a lie, and no reason to go on until `max`.
  const auto saved = repository.save_blob(content, Bytes{artifact->content.size}, into);
  if (!saved) return fail(saved.error().code, what + ": " + saved.error().message);
  return fetched;
}

}  // namespace

std::string_view to_string(Kind kind) { return kind == Kind::module ? "module" : "model"; }

bool is_artifact_name(std::string_view name) {
  return name.size() <= 100 && Reference::of_tag(name).has_value();
}

Result<Artifact> as_artifact(Manifest manifest) {
  const auto layout = std::ranges::find(kLayouts, manifest.config.media_type, &Layout::config_type);
  if (layout == std::end(kLayouts)) {
    return fail(Errc::refused, "it is neither a module nor a model: its configuration is " +
                                   printable(manifest.config.media_type));
  }
  const std::string kind(to_string(layout->kind));
  if (manifest.layers.size() != 1 || manifest.layers.front().media_type != layout->layer_type) {
    return fail(Errc::refused,
                "the " + kind + " is not one layer of type " + std::string(layout->layer_type));
  }
  const auto title = manifest.annotations.find(kTitle);
  Artifact artifact{layout->kind, {}, manifest.layers.front(), {}};
  // Of other tools: named by what it is, unless it has a name that can do no harm.
  artifact.name = title != manifest.annotations.end() && is_artifact_name(title->second)
                      ? title->second
                      : kind + "-" + artifact.content.digest.hex().substr(0, 12);
  artifact.manifest = std::move(manifest);
  return artifact;
}

Result<Artifact> push_artifact(Repository& repository, Kind kind, std::string_view name,
                               const Blob& content, std::span<const Reference> tags) {
  if (!is_artifact_name(name)) {
    return fail(Errc::invalid_argument,
                "no name: '" + printable(name) +
                    "' (up to 100 letters, digits, '_', '.' and '-', the last two not in front)");
  }
  if (content.size() == 0)
    return fail(Errc::invalid_argument, "the file of " + std::string(name) + " is empty");
  const Layout& layout = layout_of(kind);
  const Blob config = Blob::of(configuration(kind, name, content.digest()));
  if (auto pushed = repository.push_blob(content); !pushed) return std::unexpected(pushed.error());
  if (auto pushed = repository.push_blob(config); !pushed) return std::unexpected(pushed.error());
  Manifest manifest =
      make_manifest(std::string(layout.artifact_type),
                    {std::string(layout.config_type), config.digest(), config.size()},
                    {{std::string(layout.layer_type),
                      content.digest(),
                      content.size(),
                      {{std::string(layout.file_annotation),
                        std::string(name) + std::string(layout.extension)}}}},
                    {{kTitle, std::string(name)}});
  std::vector<Reference> all(tags.begin(), tags.end());
  all.push_back(content_tag(content.digest()));
  if (auto pushed = repository.push_manifest(manifest, all); !pushed)
    return std::unexpected(pushed.error());
  return as_artifact(std::move(manifest));
}

Result<Artifact> find_artifact(Repository& repository, Kind kind, const Digest& content) {
  const std::string what = std::string(to_string(kind)) + " with digest sha256:" + content.hex() +
                           " in " + repository.name();
  auto manifest = repository.resolve(content_tag(content));
  if (!manifest) {
    if (manifest.error().code == Errc::not_found)
      return fail(Errc::not_found, "no " + what +
                                       ": put there what the program was built with "
                                       "(aloft module push --repository " +
                                       repository.name() + " MODULE.wasm)");
    return std::unexpected(manifest.error());
  }
  auto artifact = as_artifact(*std::move(manifest));
  if (!artifact) return fail(artifact.error().code, what + ": " + artifact.error().message);
  if (artifact->content.digest != content) {
    return fail(Errc::corrupt, what + ": its tag leads to sha256:" +
                                   artifact->content.digest.hex() + "; push it again");
  }
  if (artifact->kind != kind) {
    return fail(Errc::refused,
                what + ": it is a " + std::string(to_string(artifact->kind)) + " there");
  }
  return artifact;
}

Result<Fetched> fetch_module(Repository& repository, const Digest& content,
                             const std::filesystem::path& into, const Verification& verification,
                             Bytes max) {
  return fetch(repository, Kind::module, content, into, verification, max);
}

Result<Fetched> fetch_model(Repository& repository, const Digest& content,
                            const std::filesystem::path& into, const Verification& verification,
                            Bytes max) {
  return fetch(repository, Kind::model, content, into, verification, max);
}

}  // namespace aloft::oci
