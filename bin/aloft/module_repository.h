// The module repository that `aloft module` works on, and what its commands look for there.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/digest.h"
#include "identity/public_key.h"
#include "oci/artifact.h"
#include "oci/registry.h"
#include "oci/repository.h"
#include <aloft/result.h>

namespace aloft::cli {

struct RepositoryChoice {
  std::string place;  // a folder, or https://HOST[:PORT]/NAME
  oci::RegistryOptions registry{};
  std::string login_file{};
};
// `choice` outlives the command; it is the user's own folder where nothing is said.
void add_repository_options(CLI::App& command, RepositoryChoice& choice);
// Errors: those of oci::open_repository() and oci::find_login().
[[nodiscard]] Result<std::unique_ptr<oci::Repository>> open_repository(
    const RepositoryChoice& choice, oci::Missing missing);

struct FoundArtifact {
  std::unique_ptr<oci::Repository> repository;
  oci::Artifact artifact;
};
// `reference`: TAG, sha256:DIGEST (of the content, or of the manifest), each also as NAME@...
// Errors: not_found besides those of open_repository().
[[nodiscard]] Result<FoundArtifact> find_artifact(const RepositoryChoice& choice,
                                                  std::string_view reference);

[[nodiscard]] Result<std::vector<identity::PublicKey>> load_keys(
    const std::vector<std::string>& files);
// The id of the key, of these, that it is signed with; empty where there are none to check by.
// Errors: those of oci::verify().
[[nodiscard]] Result<std::string> signer_of(const FoundArtifact& found,
                                            const std::vector<identity::PublicKey>& keys);

[[nodiscard]] std::string full_digest(const Digest& digest);  // sha256:...

}  // namespace aloft::cli
