#include "module_repository.h"

#include <cstdlib>
#include <utility>

#include "oci/registry_login.h"
#include "oci/signature.h"
#include "oci/signer_key.h"

namespace aloft::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string default_repository() {
  if (const std::string data = variable("XDG_DATA_HOME"); !data.empty())
    return data + "/aloft/repository";
  if (const std::string home = variable("HOME"); !home.empty())
    return home + "/.local/share/aloft/repository";
  return "aloft-repository";
}

// TAG, sha256:DIGEST (of the content, or of the manifest), each also as NAME@...
Result<oci::Artifact> find(oci::Repository& repository, std::string_view reference) {
  std::string_view name;
  if (const auto at = reference.find('@'); at != reference.npos) {
    name = reference.substr(0, at);
    reference.remove_prefix(at + 1);
  }
  const std::string shown(reference);
  auto manifest = [&]() -> Result<oci::Manifest> {
    if (!reference.starts_with("sha256:")) {
      const auto tag = oci::Reference::of_tag(reference);
      if (!tag) return std::unexpected(tag.error());
      return repository.resolve(*tag);
    }
    const auto digest = Digest::parse(reference);
    if (!digest) return std::unexpected(digest.error());
    auto by_content = repository.resolve(oci::content_tag(*digest));
    if (by_content || by_content.error().code != Errc::not_found) return by_content;
    auto by_manifest = repository.resolve(oci::Reference::of_digest(*digest));
    if (!by_manifest && by_manifest.error().code == Errc::not_found)
      return fail(Errc::not_found, "nothing with the digest " + shown + " in " + repository.name());
    return by_manifest;
  }();
  if (!manifest) return std::unexpected(manifest.error());
  auto artifact = oci::as_artifact(*std::move(manifest));
  if (!artifact) return fail(artifact.error().code, shown + ": " + artifact.error().message);
  if (!name.empty() && name != artifact->name)
    return fail(Errc::not_found, shown + " is " + artifact->name + ", not " + std::string(name));
  return artifact;
}

}  // namespace

void add_repository_options(CLI::App& command, RepositoryChoice& choice) {
  choice.place = default_repository();
  command.add_option("-r,--repository", choice.place, "a folder, or https://HOST[:PORT]/NAME")
      ->envname("ALOFT_REPOSITORY")
      ->capture_default_str();
  command.add_option("--registry-authority", choice.registry.authority,
                     "PEM file: who vouches for the registry");
  command.add_option("--registry-certificate", choice.registry.certificate,
                     "PEM file: our certificate for it");
  command.add_option("--registry-key", choice.registry.key, "PEM file: its key");
  command
      .add_option("--registry-login", choice.login_file,
                  "file of passwords, as docker and skopeo write it; or ALOFT_REGISTRY_USER and "
                  "ALOFT_REGISTRY_PASSWORD in the environment")
      ->envname("ALOFT_REGISTRY_LOGIN");
}

Result<std::unique_ptr<oci::Repository>> open_repository(const RepositoryChoice& choice,
                                                         oci::Missing missing) {
  oci::RegistryOptions registry = choice.registry;
  registry.user = variable("ALOFT_REGISTRY_USER");
  registry.password = variable("ALOFT_REGISTRY_PASSWORD");
  if (registry.user.empty() && !choice.login_file.empty()) {
    const auto login = oci::find_login(choice.login_file, choice.place);
    if (!login) return std::unexpected(login.error());
    registry.user = login->user;
    registry.password = login->password;
  }
  return oci::open_repository(choice.place, registry, missing);
}

Result<FoundArtifact> find_artifact(const RepositoryChoice& choice, std::string_view reference) {
  auto repository = open_repository(choice, oci::Missing::fail);
  if (!repository) return std::unexpected(std::move(repository).error());
  auto artifact = find(**repository, reference);
  if (!artifact) return std::unexpected(std::move(artifact).error());
  return FoundArtifact{*std::move(repository), *std::move(artifact)};
}

Result<std::vector<identity::PublicKey>> load_keys(const std::vector<std::string>& files) {
  std::vector<identity::PublicKey> keys;
  for (const std::string& file : files) {
    auto key = identity::PublicKey::load(file);
    if (!key) return std::unexpected(key.error());
    keys.push_back(*std::move(key));
  }
  return keys;
}

Result<std::string> signer_of(const FoundArtifact& found,
                              const std::vector<identity::PublicKey>& keys) {
  if (keys.empty()) return std::string();
  const auto verified = oci::verify(*found.repository, found.artifact.manifest.digest, keys);
  if (!verified) return std::unexpected(verified.error());
  return oci::key_id(*verified);
}

std::string full_digest(const Digest& digest) { return "sha256:" + digest.hex(); }

}  // namespace aloft::cli
