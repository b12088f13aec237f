// aloft module: what is in the module repository, and who has signed it.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "identity/key_file.h"
#include "module_repository.h"
#include "oci/artifact.h"
#include "oci/repository.h"
#include "oci/signature.h"
#include "oci/signer_key.h"
#include "runtime/manifest.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// All that the commands' options say; a command uses what it has options for.
struct Options {
  RepositoryChoice repository;

  std::vector<std::string> files;
  std::string reference;
  std::vector<std::string> tags;
  bool model = false;
  std::string name;
  std::string signing_key;
  std::vector<std::string> public_keys;
  std::string output;
  std::string key_type = "ed25519";
};

// A module is pushed under the name in its manifest, and only if it is what the manifest was made
// for: a host would refuse it later, where nobody looks.
Result<std::string> module_name(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  if (!in) return fail(Errc::not_found, "cannot read " + file.string());
  if (bytes.size() > oci::kMaxModule.count())
    return fail(Errc::invalid_argument, file.string() + " is larger than 256 MiB");
  const auto manifest = runtime::read_manifest(std::as_bytes(std::span(bytes)));
  if (!manifest)
    return fail(manifest.error().code, file.string() + ": " + manifest.error().message);
  if (!*manifest) {
    return fail(Errc::refused, file.string() +
                                   " has no manifest: only modules made by aloft-cc can be called "
                                   "(a model is pushed with --model)");
  }
  return (*manifest)->module;
}

Json describe(const oci::Artifact& artifact) {
  return {{"name", artifact.name},
          {"kind", to_string(artifact.kind)},
          {"digest", full_digest(artifact.content.digest)},
          {"manifest", full_digest(artifact.manifest.digest)},
          {"size_bytes", artifact.content.size}};
}

void print(const Json& json) {
  std::printf("%s\n", json.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

Result<void> push(Context& context, Options& options) {
  if (!options.name.empty() && options.files.size() != 1)
    return fail(Errc::invalid_argument, "--name is for one file");
  std::vector<oci::Reference> tags;
  for (const std::string& tag : options.tags) {
    auto reference = oci::Reference::of_tag(tag);
    if (!reference) return std::unexpected(reference.error());
    tags.push_back(*std::move(reference));
  }
  std::optional<oci::SignerKey> key;
  if (!options.signing_key.empty()) {
    auto loaded = oci::SignerKey::load(options.signing_key);
    if (!loaded) return std::unexpected(loaded.error());
    key = *std::move(loaded);
  }
  auto repository = open_repository(options.repository, oci::Missing::make);
  if (!repository) return std::unexpected(repository.error());
  Json pushed = Json::array();
  for (const fs::path file : options.files) {
    const auto kind = options.model ? oci::Kind::model : oci::Kind::module;
    const auto blob = oci::Blob::open(file);
    if (!blob) return std::unexpected(blob.error());
    auto name = options.model ? Result<std::string>(file.stem().string()) : module_name(file);
    if (!name) return std::unexpected(name.error());
    if (!options.name.empty()) name = options.name;
    auto all = tags;
    if (all.empty()) {
      auto tag = oci::Reference::of_tag(*name);
      if (!tag) return std::unexpected(tag.error());
      all.push_back(*std::move(tag));
    }
    const auto artifact = oci::push_artifact(**repository, kind, *name, *blob, all);
    if (!artifact) return std::unexpected(artifact.error());
    if (key) {
      if (auto done = oci::sign(**repository, artifact->manifest.digest, *key); !done) return done;
    }
    pushed.push_back(describe(*artifact));
    if (!context.json)
      std::printf("%s@%s\n", artifact->name.c_str(), full_digest(artifact->content.digest).c_str());
  }
  if (context.json) print(pushed);
  return {};
}

Result<void> pull(Context& context, Options& options) {
  const auto keys = load_keys(options.public_keys);
  if (!keys) return std::unexpected(keys.error());
  const auto found = find_artifact(options.repository, options.reference);
  if (!found) return std::unexpected(found.error());
  const auto& [repository, artifact] = *found;
  if (keys->empty())
    std::fprintf(stderr, "warning: no --key given: the signature is not checked\n");
  const auto signer = signer_of(*found, *keys);
  if (!signer) return std::unexpected(signer.error());
  const bool module = artifact.kind == oci::Kind::module;
  const fs::path into =
      options.output.empty() ? artifact.name + (module ? ".wasm" : ".onnx") : options.output;
  const auto saved =
      repository->save_blob(artifact.content.digest, Bytes{artifact.content.size}, into);
  if (!saved) return saved;
  if (context.json) {
    Json json = describe(artifact);
    json["file"] = into.string();
    if (!signer->empty()) json["signed_by"] = *signer;
    print(json);
  } else {
    std::printf("%s: %s@%s\n", into.c_str(), artifact.name.c_str(),
                full_digest(artifact.content.digest).c_str());
  }
  return {};
}

Result<void> sign(Context& context, Options& options) {
  const auto key = oci::SignerKey::load(options.signing_key);
  if (!key) return std::unexpected(key.error());
  const auto found = find_artifact(options.repository, options.reference);
  if (!found) return std::unexpected(found.error());
  const auto& [repository, artifact] = *found;
  if (auto done = oci::sign(*repository, artifact.manifest.digest, *key); !done) return done;
  // What other tools have pushed has no tag of its content yet, and a signature on a manifest that
  // hosts do not find would be of no use.
  const oci::Reference tag = oci::content_tag(artifact.content.digest);
  if (auto done = repository->push_manifest(artifact.manifest, std::span(&tag, 1)); !done)
    return done;
  if (context.json) {
    Json json = describe(artifact);
    json["signed_by"] = oci::key_id(key->public_key());
    print(json);
  } else {
    std::printf("%s@%s signed with key %s\n", artifact.name.c_str(),
                full_digest(artifact.content.digest).c_str(),
                oci::key_id(key->public_key()).c_str());
  }
  return {};
}

struct Listed {
  oci::Artifact artifact;
  std::vector<std::string> tags;
  bool has_signatures = false;
};

Result<std::vector<Listed>> list_artifacts(oci::Repository& repository) {
  const auto tags = repository.tags();
  if (!tags) return std::unexpected(tags.error());
  std::map<Digest, Listed> found;
  for (const std::string& tag : *tags) {
    if (tag.ends_with(".sig")) continue;
    auto manifest = repository.resolve(*oci::Reference::of_tag(tag));
    if (!manifest) {
      // Gone meanwhile, or another kind of image.
      if (manifest.error().code == Errc::not_found || manifest.error().code == Errc::refused)
        continue;
      return std::unexpected(manifest.error());
    }
    auto artifact = oci::as_artifact(*std::move(manifest));
    if (!artifact) continue;
    const std::string signatures = oci::signature_tag(artifact->manifest.digest).text();
    const bool is_content_tag = tag == oci::content_tag(artifact->content.digest).text();
    auto& entry =
        found.try_emplace(artifact->manifest.digest, Listed{*artifact, {}, {}}).first->second;
    if (!is_content_tag) entry.tags.push_back(tag);
    entry.has_signatures = std::ranges::binary_search(*tags, signatures);
  }
  std::vector<Listed> list;
  for (auto& [digest, entry] : found) list.push_back(std::move(entry));
  std::ranges::sort(list, {}, [](const Listed& entry) {
    return std::tie(entry.artifact.name, entry.artifact.content.digest);
  });
  return list;
}

Result<void> list(Context& context, Options& options) {
  auto repository = open_repository(options.repository, oci::Missing::fail);
  if (!repository) return std::unexpected(repository.error());
  const auto found = list_artifacts(**repository);
  if (!found) return std::unexpected(found.error());
  if (context.json) {
    Json json = Json::array();
    for (const Listed& entry : *found) {
      json.push_back(describe(entry.artifact));
      json.back()["tags"] = entry.tags;
      json.back()["has_signatures"] = entry.has_signatures;
    }
    print(json);
    return {};
  }
  std::printf("%-24s %-7s %-71s %12s  %-6s %s\n", "NAME", "KIND", "DIGEST", "BYTES", "SIGNED",
              "TAGS");
  for (const Listed& entry : *found) {
    std::string tags;
    for (const std::string& tag : entry.tags) tags += (tags.empty() ? "" : ",") + tag;
    std::printf("%-24s %-7s %-71s %12llu  %-6s %s\n", entry.artifact.name.c_str(),
                std::string(to_string(entry.artifact.kind)).c_str(),
                full_digest(entry.artifact.content.digest).c_str(),
                static_cast<unsigned long long>(entry.artifact.content.size),
                entry.has_signatures ? "yes" : "no", tags.c_str());
  }
  return {};
}

Result<void> inspect(Context& context, Options& options) {
  const auto keys = load_keys(options.public_keys);
  if (!keys) return std::unexpected(keys.error());
  const auto found = find_artifact(options.repository, options.reference);
  if (!found) return std::unexpected(found.error());
  const auto& [repository, artifact] = *found;
  Json json = describe(artifact);
  if (artifact.kind == oci::Kind::module) {
    const auto bytes = repository->read_blob(artifact.content.digest, oci::kMaxModule);
    if (!bytes) return std::unexpected(bytes.error());
    const auto manifest = runtime::read_manifest(*bytes);
    if (!manifest) return std::unexpected(manifest.error());
    json["functions"] = Json::array();
    if (*manifest)
      for (const auto& function : (*manifest)->functions)
        json["functions"].push_back(function.signature);
  }
  const auto signer = signer_of(*found, *keys);
  if (!signer) return std::unexpected(signer.error());
  if (!signer->empty()) json["signed_by"] = *signer;
  if (context.json) {
    print(json);
    return {};
  }
  for (const char* key : {"name", "kind", "digest", "manifest", "size_bytes", "signed_by"}) {
    if (!json.contains(key)) continue;
    const Json& value = json[key];
    std::printf("%-12s %s\n", key,
                (value.is_string() ? value.get<std::string>() : value.dump()).c_str());
  }
  if (json.contains("functions"))
    for (const Json& function : json["functions"])
      std::printf("%-12s %s\n", "function", function.get<std::string>().c_str());
  return {};
}

Result<void> keygen(Context& context, Options& options) {
  const auto key = oci::SignerKey::generate(
      options.key_type == "ed25519" ? identity::KeyType::ed25519 : identity::KeyType::ecdsa_p256);
  if (!key) return std::unexpected(key.error());
  const auto pem = key->public_pem();
  if (!pem) return std::unexpected(pem.error());
  const std::string private_file = options.name + ".key", public_file = options.name + ".pub";
  if (fs::exists(public_file)) return fail(Errc::refused, public_file + " is there already");
  if (auto saved = key->save(private_file); !saved) return saved;
  if (auto saved = identity::write_key_file(public_file, *pem, identity::Secrecy::open); !saved)
    return saved;
  if (context.json) {
    print({{"key", private_file},
           {"public_key", public_file},
           {"id", oci::key_id(key->public_key())}});
  } else {
    std::printf("%s (keep it secret), %s (give it to who verifies): key %s\n", private_file.c_str(),
                public_file.c_str(), oci::key_id(key->public_key()).c_str());
  }
  return {};
}

using Command = std::function<Result<void>(Context&, Options&)>;

}  // namespace

void add_module_commands(CLI::App& app, Context& context) {
  CLI::App* module = app.add_subcommand("module", "modules and models in the repository");
  module->require_subcommand(1);
  module->fallthrough();
  const auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* what, Command run) {
    CLI::App* command = module->add_subcommand(name, what);
    command->fallthrough();
    command->callback([&context, options, run = std::move(run)] {
      if (auto done = run(context, *options); !done) failed(context, done.error());
    });
    return command;
  };
  const char* const kReference = "TAG, sha256:DIGEST or NAME@sha256:DIGEST";

  CLI::App* command = add("push", "put modules (or models) into the repository", push);
  add_repository_options(*command, options->repository);
  command->add_option("files", options->files, ".wasm files made by aloft-cc")->required();
  command->add_option("-t,--tag", options->tags, "names for it (default: the module's name)");
  command->add_flag("--model", options->model, "the files are ONNX models");
  command->add_option("--name", options->name, "in place of the name in the file");
  command->add_option("--sign", options->signing_key, "PEM file: sign it with this key");

  command = add("pull", "get one out of the repository", pull);
  add_repository_options(*command, options->repository);
  command->add_option("reference", options->reference, kReference)->required();
  command->add_option("-o,--output", options->output, "the file to write (default: NAME.wasm)");
  command->add_option("--key", options->public_keys,
                      "PEM files: one of these keys must have signed it");

  command = add("sign", "sign one that is in the repository", sign);
  add_repository_options(*command, options->repository);
  command->add_option("reference", options->reference, kReference)->required();
  command->add_option("--key", options->signing_key, "PEM file: the private key")->required();

  command = add("list", "show what is in the repository", list);
  add_repository_options(*command, options->repository);

  command = add("inspect", "show what one is, and check it", inspect);
  add_repository_options(*command, options->repository);
  command->add_option("reference", options->reference, kReference)->required();
  command->add_option("--key", options->public_keys,
                      "PEM files: one of these keys must have signed it");

  command = add("keygen", "make a key to sign with: NAME.key and NAME.pub", keygen);
  command->add_option("name", options->name, "what the files are called")->required();
  command->add_option("--type", options->key_type, "ed25519 or ecdsa")
      ->check(CLI::IsMember({"ed25519", "ecdsa"}))
      ->capture_default_str();
}

}  // namespace aloft::cli
