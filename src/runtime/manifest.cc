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
    for (const auto& function : json.at("functions")) {
      manifest.functions.push_back(
          {.name = function.at("name").get<std::string>(),
           .export_name = function.at("export").get<std::string>(),
           .signature = function.at("signature").get<std::string>(),
           .signature_hash = function.at("signature_hash").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&
               error) {  // the library's only way to say that a field is missing
    return corrupt(std::string("the module's manifest lacks something: ") + error.what());
  }
  if (sha256(wasm.first((*section)->begin)).hex() != manifest.content_sha256) {
    return corrupt("the module is damaged: its content is not what its manifest was made for");
  }
  return manifest;
}

}  // namespace aloft::runtime
