#include "runtime/manifest.h"

#include <string_view>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "runtime/wasm_file.h"

namespace aloft::runtime {
namespace {

constexpr std::string_view kSectionName = "aloft.manifest";

struct ManifestSection {
  std::size_t begin = 0;  // in the file, where the section's id stands
  std::string_view json;
};

std::unexpected<Error> corrupt(const std::string& what) { return fail(Errc::corrupt, what); }

Result<std::optional<ManifestSection>> find_section(std::span<const std::byte> wasm) {
  const auto sections = read_sections(wasm);
  if (!sections) return std::unexpected(sections.error());
  for (const WasmSection& section : *sections) {
    if (section.name != kSectionName) continue;
    if (&section != &sections->back()) {
      return corrupt("the module has something after its manifest: it is damaged or not sealed");
    }
    const auto* text = reinterpret_cast<const char*>(section.content.data());
    return ManifestSection{section.begin, {text, section.content.size()}};
  }
  return std::nullopt;
}

// Both throw what the library throws when a field is missing.
Manifest::Function read_function(const nlohmann::json& function) {
  Manifest::Function read{.name = function.at("name").get<std::string>(),
                          .export_name = function.at("export").get<std::string>(),
                          .signature = function.at("signature").get<std::string>(),
                          .signature_hash = function.at("signature_hash").get<std::string>(),
                          .once = function.value("effects", "pure") != "pure",
                          .object = {}};
  if (function.contains("object")) read.object = function.at("object").get<std::uint32_t>();
  return read;
}

std::vector<Manifest::Object> read_objects(const nlohmann::json& objects) {
  std::vector<Manifest::Object> read;
  for (const auto& object : objects) {
    read.push_back({.name = object.at("name").get<std::string>(),
                    .state = object.at("state").get<std::string>(),
                    .state_hash = object.at("state_hash").get<std::string>()});
  }
  return read;
}

}  // namespace

Result<std::optional<Manifest>> read_manifest(std::span<const std::byte> wasm) {
  const auto section = find_section(wasm);
  if (!section) return std::unexpected(section.error());
  if (!*section) return std::nullopt;

  const auto json = nlohmann::json::parse((*section)->json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return corrupt("the module's manifest is not JSON");
  Manifest manifest;
  try {
    manifest.abi = json.at("abi").get<std::uint32_t>();
    manifest.module = json.at("module").get<std::string>();
    manifest.content_sha256 = json.at("content_sha256").get<std::string>();
    manifest.graphs = json.at("graphs").get<std::vector<std::string>>();
    if (json.contains("objects")) manifest.objects = read_objects(json.at("objects"));
    for (const auto& function : json.at("functions"))
      manifest.functions.push_back(read_function(function));
  } catch (const nlohmann::json::exception&
               error) {  // the library's only way to say that a field is missing
    return corrupt(std::string("the module's manifest lacks something: ") + error.what());
  }
  for (const Manifest::Function& function : manifest.functions) {
    if (function.object && *function.object >= manifest.objects.size())
      return corrupt("the module's manifest has a method of no class: " + function.name);
  }
  if (sha256(wasm.first((*section)->begin)).hex() != manifest.content_sha256) {
    return corrupt("the module is damaged: its content is not what its manifest was made for");
  }
  return manifest;
}

}  // namespace aloft::runtime
