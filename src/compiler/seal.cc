#include "compiler/seal.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "compiler/signature.h"
#include "runtime/wasm_file.h"

namespace aloft::compiler {

namespace {

using runtime::make_custom_section;
using runtime::read_interface;
using runtime::read_sections;
using runtime::WasmInterface;
using runtime::WasmSection;
using Json = nlohmann::ordered_json;

constexpr std::string_view kWasi = "wasi_snapshot_preview1";
constexpr std::string_view kWasiNn = "wasi_ephemeral_nn";
constexpr std::array<std::string_view, 6> kAbiExports = {
    "memory",       "_initialize",       "aloft_abi_version",
    "aloft_buffer", "aloft_free_buffer", "aloft_release"};
constexpr std::array<std::string_view, 3> kObjectExports = {"aloft_object_make", "aloft_state_save",
                                                            "aloft_state_load"};

bool exports(const WasmInterface& interface, std::string_view name) {
  return std::ranges::find(interface.exports, name, &WasmInterface::Export::name) !=
         interface.exports.end();
}

// What keeps the module from running on a host, a line each; empty: nothing.
std::string complaints(const WasmInterface& interface, const Json& manifest) {
  std::string lines;
  for (const WasmInterface::Import& import : interface.imports) {
    if (import.module == kWasi || import.module == kWasiNn) continue;
    lines += "\n  it imports '" + import.module + "." + import.name + "', which no host offers";
  }
  const auto require = [&](std::string_view name, std::string_view why) {
    if (exports(interface, name)) return;
    lines.append("\n  it does not export '").append(name).append("'").append(why);
  };
  for (const std::string_view name : kAbiExports) require(name, " of the guest ABI");
  if (manifest.contains("objects") && !manifest.at("objects").empty()) {
    for (const std::string_view name : kObjectExports) require(name, " of the guest ABI");
  }
  for (const Json& function : manifest.at("functions")) {
    const auto& name = function.at("name").get_ref<const std::string&>();
    require(function.at("export").get_ref<const std::string&>(),
            " (" + name + "), nor '" + plain_export_name(name) + "' alone");
  }
  return lines;
}

// The exports that a guest has under a plain name, with what the manifest calls them. Two functions
// that would have one plain name have none.
std::map<std::string, std::string> plain_exports(const WasmInterface& interface,
                                                 const Json& manifest) {
  std::map<std::string, std::string> renames;
  std::map<std::string, int> uses;
  for (const Json& function : manifest.at("functions")) {
    const std::string full = function.at("export").get<std::string>();
    const std::string plain = plain_export_name(function.at("name").get<std::string>());
    if (++uses[plain] == 1 && !exports(interface, full) && exports(interface, plain))
      renames[plain] = full;
  }
  std::erase_if(renames, [&](const auto& rename) { return uses[rename.first] > 1; });
  return renames;
}

// Where the manifest's section begins, or the file's end.
Result<std::size_t> content_size(std::span<const std::byte> file) {
  Result<std::vector<WasmSection>> sections = read_sections(file);
  if (!sections) return std::unexpected(sections.error());
  for (const WasmSection& section : *sections) {
    if (section.name != kManifestSection) continue;
    if (&section != &sections->back())
      return fail(Errc::corrupt, "the manifest is not the module's last section");
    return section.begin;
  }
  return file.size();
}

Result<WasmInterface> interface_of(std::span<const std::byte> content) {
  const Result<std::vector<WasmSection>> sections = read_sections(content);
  if (!sections) return std::unexpected(sections.error());
  return read_interface(*sections);
}

}  // namespace

std::string make_manifest(const Module& module) {
  Json functions = Json::array();
  for (const Source& source : module.sources) {
    for (const Function& function : source.functions) {
      functions.push_back({{"name", function.qualified_name},
                           {"export", function.export_name},
                           {"signature", function.signature},
                           {"signature_hash", function.signature_hash},
                           {"effects", function.once ? "once" : "pure"},
                           {"file", std::filesystem::path(source.path).filename().string()},
                           {"line", function.name_token.line}});
      if (function.method) functions.back()["object"] = function.method->object;
    }
  }
  Json objects = Json::array();
  for (const Class* of : module.classes()) {
    objects.push_back({{"name", of->qualified_name},
                       {"state", of->state_signature},
                       {"state_hash", of->state_hash}});
  }
  const Json manifest = {{"abi", 1},
                         {"module", module.name},
                         {"functions", std::move(functions)},
                         {"objects", std::move(objects)},
                         {"graphs", module.graphs}};
  return manifest.dump(2) + "\n";
}

Result<Sealed> seal(std::span<const std::byte> linked, const std::string& manifest) {
  Json json = Json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("functions"))
    return fail(Errc::corrupt, "the manifest is not one of aloft-cc's");

  const Result<std::size_t> size = content_size(linked);
  if (!size) return std::unexpected(size.error());
  std::span<const std::byte> content = linked.first(*size);
  Result<WasmInterface> interface = interface_of(content);
  if (!interface) return std::unexpected(interface.error());
  std::vector<std::byte> renamed;
  if (const auto renames = plain_exports(*interface, json); !renames.empty()) {
    auto file = runtime::rename_exports(content, renames);
    if (!file) return std::unexpected(file.error());
    renamed = *std::move(file);
    content = renamed;
    interface = interface_of(content);
    if (!interface) return std::unexpected(interface.error());
  }
  if (const std::string lines = complaints(*interface, json); !lines.empty()) {
    return fail(Errc::refused, "the guest cannot run on a host:" + lines);
  }

  Json capabilities = Json::array();
  const bool uses_nn = std::ranges::any_of(
      interface->imports, [](const auto& import) { return import.module == kWasiNn; });
  if (uses_nn) capabilities.push_back("wasi_nn");
  json["capabilities"] = std::move(capabilities);
  json["content_sha256"] = sha256(content).hex();

  Sealed sealed;
  sealed.file.assign(content.begin(), content.end());
  const std::vector<std::byte> section =
      make_custom_section(std::string(kManifestSection), json.dump());
  sealed.file.insert(sealed.file.end(), section.begin(), section.end());
  sealed.digest = "sha256:" + sha256(sealed.file).hex();
  return sealed;
}

Result<std::string> read_manifest(std::span<const std::byte> file) {
  const Result<std::size_t> size = content_size(file);
  if (!size) return std::unexpected(size.error());
  if (*size == file.size())
    return fail(Errc::not_found,
                "the module has no manifest: it was not made by aloft_add_module()");
  const std::vector<WasmSection> sections = *read_sections(file);
  const std::span<const std::byte> text = sections.back().content;
  std::string manifest(reinterpret_cast<const char*>(text.data()), text.size());
  const Json json = Json::parse(manifest, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("content_sha256", "") != sha256(file.first(*size)).hex()) {
    return fail(Errc::corrupt, "the module's bytes are not those that its manifest was made for");
  }
  return manifest;
}

}  // namespace aloft::compiler
