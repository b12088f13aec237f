#include "compiler/command.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <span>

#include <nlohmann/json.hpp>

#include "compiler/diagnostics.h"
#include "compiler/emit.h"
#include "compiler/home_source.h"
#include "compiler/interface_source.h"
#include "compiler/module_reader.h"
#include "compiler/seal.h"
#include "compiler/wit.h"

namespace aloft::compiler {

namespace {

namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in) return fail(Errc::not_found, path.string() + ": cannot be read");
  return text;
}

// Leaves a file that has this content already as it is, so that nothing is built anew because of
// it.
Result<void> write_file(const fs::path& path, std::string_view content) {
  if (const Result<std::string> old = read_file(path); old && *old == content) return {};
  std::error_code ignored;  // what matters is whether the file can be written
  fs::create_directories(path.parent_path(), ignored);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size())).flush();
  if (!out) return fail(Errc::internal, path.string() + ": cannot be written");
  return {};
}

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string_view text(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

// The source that stands for a module of another language.
fs::path source_of_interface(const ModuleCommand& command) {
  return command.output / (command.name + ".interface.cc");
}

Result<void> check(const ModuleCommand& command) {
  const auto is_word = [](std::string_view name) {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return !name.empty() && is_letter(name[0]) && std::ranges::all_of(name, [&](char c) {
      return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
    });
  };
  if (!is_word(command.name)) {
    return fail(Errc::invalid_argument,
                "the module's name '" + command.name +
                    "' is not a letter followed by letters, digits and '_'");
  }
  if (command.sources.empty() == command.interface.empty())
    return fail(Errc::invalid_argument, "name the module's C++ sources, or --interface HEADER");
  if (command.interface.empty() && command.home != Home::none)
    return fail(Errc::invalid_argument, "--home is for an --interface: C++ sources have one");
  if (command.interface.empty() && command.sysroot.empty())
    return fail(Errc::invalid_argument, "a guest of C++ sources needs --sysroot");
  std::set<std::string> names;
  for (const std::string& source : command.sources) {
    const std::string name = fs::path(source).filename();
    if (!names.insert(name).second) {
      return fail(Errc::invalid_argument, "two sources of the module have the name '" + name + "'");
    }
  }
  return {};
}

// "output: dependency dependency ...", as make reads it.
std::string depfile(const fs::path& target, std::span<const std::string> dependencies) {
  const auto append = [](std::string& out, const std::string& path) {
    for (const char c : path) {
      if (c == ' ' || c == '#') out.push_back('\\');
      if (c == '$') out.push_back('$');
      out.push_back(c);
    }
  };
  std::string out;
  append(out, target);
  out += ":";
  for (const std::string& dependency : dependencies) {
    out += " \\\n  ";
    append(out, dependency);
  }
  return out + "\n";
}

Result<void> write_outputs(const ModuleCommand& command, const Module& module) {
  for (std::size_t i = 0; i < module.sources.size(); ++i) {
    const Source& source = module.sources[i];
    const Result<std::string> original = read_file(source.path);
    if (!original) return std::unexpected(original.error());
    const fs::path name = fs::path(source.path).filename();
    const fs::path native = command.output / "native" / name;
    const fs::path guest = command.output / "guest" / name;
    if (auto done = write_file(native, emit_native(module, source, *original, native)); !done)
      return done;
    if (!command.interface.empty()) continue;  // its guest is made by someone else
    if (auto done = write_file(guest, emit_guest(module.guest_sources[i], *original, guest)); !done)
      return done;
  }
  const fs::path base = command.output / module.name;
  if (auto done = write_file(base.string() + ".aloft.h", emit_header(module)); !done) return done;
  if (auto done = write_file(base.string() + ".module.cc", emit_descriptor(module)); !done)
    return done;
  if (!command.depfile.empty()) {
    std::vector<std::string> files = module.files;
    std::erase(files, fs::absolute(source_of_interface(command)).lexically_normal().string());
    // The same for people and for aloft dev: build systems take depfiles away.
    std::string lines;
    for (const std::string& file : files) lines += file + "\n";
    if (auto done = write_file(base.string() + ".sources.txt", lines); !done) return done;
    // The depfile names the manifest: the file that is written last, and always.
    auto done = write_file(command.depfile, depfile(base.string() + ".manifest.json", files));
    if (!done) return done;
  }
  const fs::path manifest = base.string() + ".manifest.json";
  if (auto done = write_file(manifest, make_manifest(module)); !done) return done;
  // Newer than what it was read from, though it says the same: to make, a rule whose file has kept
  // its time has changed none of its outputs.
  std::error_code ignored;
  fs::last_write_time(manifest, fs::file_time_type::clock::now(), ignored);
  return {};
}

Result<std::string> manifest_in(const fs::path& file) {
  const Result<std::string> content = read_file(file);
  if (!content) return std::unexpected(content.error());
  Result<std::string> manifest = read_manifest(bytes(*content));
  if (!manifest)
    return fail(manifest.error().code, file.string() + ": " + manifest.error().message);
  return manifest;
}

}  // namespace

Result<ModuleOutcome> run_module(const ModuleCommand& given) {
  if (const Result<void> sound = check(given); !sound) return std::unexpected(sound.error());
  ModuleCommand command = given;
  ReadRequest request{
      .name = command.name, .sources = {}, .host_arguments = {}, .guest_arguments = {}};
  std::vector<std::string> beside = command.sources;
  if (!command.interface.empty()) beside = {command.interface};
  for (const std::string& file : beside) {
    // Copies are compiled from another folder: what stands beside a source is found in both ways
    // alike.
    request.host_arguments.push_back("-iquote" + fs::absolute(file).parent_path().string());
  }
  request.host_arguments.insert(
      request.host_arguments.end(),
      {"-xc++", "-ferror-limit=0", "-resource-dir", command.resource_dir});
  request.host_arguments.insert(request.host_arguments.end(), command.flags.begin(),
                                command.flags.end());
  Diagnostics diagnostics;
  if (command.interface.empty()) {
    request.guest_arguments = request.host_arguments;
    request.guest_arguments.insert(request.guest_arguments.end(),
                                   {"--target=wasm32-wasi", "--sysroot=" + command.sysroot.string(),
                                    "-fno-exceptions", "-fno-rtti", "-msimd128"});
    request.guest_arguments.insert(request.guest_arguments.end(), command.guest_flags.begin(),
                                   command.guest_flags.end());
  } else {
    const auto text = interface_source({.header = command.interface,
                                        .arguments = request.host_arguments,
                                        .module = command.name,
                                        .home = command.home},
                                       diagnostics);
    if (!text) return std::unexpected(text.error());
    if (!*text) return ModuleOutcome{false, diagnostics.to_string()};
    const fs::path source = source_of_interface(command);
    if (auto done = write_file(source, **text); !done) return std::unexpected(done.error());
    command.sources = {source};
  }
  request.sources = command.sources;
  Result<std::optional<Module>> module = read_module(request, diagnostics);
  if (!module) return std::unexpected(module.error());
  if (*module) (*module)->home = command.home;
  if (*module) {
    if (const Result<void> written = write_outputs(command, **module); !written)
      return std::unexpected(written.error());
  }
  return ModuleOutcome{module->has_value(), diagnostics.to_string()};
}

Result<void> run_seal(const SealCommand& command) {
  const Result<std::string> manifest = read_file(command.manifest);
  if (!manifest) return std::unexpected(manifest.error());
  const Result<std::string> linked = read_file(command.linked);
  if (!linked) return std::unexpected(linked.error());
  const Result<Sealed> sealed = seal(bytes(*linked), *manifest);
  if (!sealed)
    return fail(sealed.error().code, command.linked.string() + ": " + sealed.error().message);
  if (auto done = write_file(command.output, text(sealed->file)); !done) return done;
  if (command.digest_header.empty()) return {};
  const auto json = nlohmann::json::parse(*manifest, nullptr, /*allow_exceptions=*/false);
  return write_file(command.digest_header,
                    emit_digest_header(json.value("module", ""), sealed->digest));
}

Result<void> run_home(const HomeCommand& command) {
  fs::path header = command.translated;
  header.replace_extension(".h");
  const Result<std::string> text = read_file(header);
  if (!text) return std::unexpected(text.error());
  const Result<std::string> source =
      home_source(command.name, *text, command.translated.filename().string());
  if (!source) return fail(source.error().code, header.string() + ": " + source.error().message);
  return write_file(command.output, *source);
}

Result<std::string> run_show(const fs::path& file) {
  const Result<std::string> manifest = manifest_in(file);
  if (!manifest) return manifest;
  return nlohmann::ordered_json::parse(*manifest).dump(2);
}

Result<std::string> run_wit(const fs::path& file) {
  const Result<std::string> manifest = manifest_in(file);
  if (!manifest) return manifest;
  return wit_of(*manifest);
}

}  // namespace aloft::compiler
