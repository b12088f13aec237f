#include "project.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/digest.h"
#include "runtime/manifest.h"

namespace aloft::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 17> kRead = {
    ".cc",  ".cpp", ".cxx",  ".c",  ".h",   ".hh", ".hpp",   ".hxx", ".ipp",
    ".inl", ".rs",  ".toml", ".go", ".mod", ".ts", ".cmake", ".txt"};

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string digest_of(std::string_view text) {
  return sha256(std::as_bytes(std::span(text))).hex();
}

// As a whole, so that nobody reads half of it.
Result<void> put(const fs::path& file, std::string_view text) {
  const fs::path partial = file.string() + ".partial";
  std::ofstream out(partial, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
  std::error_code error;
  if (out) fs::rename(partial, file, error);
  if (!out || error) return fail(Errc::refused, file.string() + ": cannot be written");
  return {};
}

// Leaves the newest versions of a module.
void prune(const fs::path& repository, const std::string& module) {
  std::vector<std::pair<fs::file_time_type, fs::path>> versions;
  std::error_code error;  // what stays does no harm
  for (fs::directory_iterator each(repository, error), end; !error && each != end;
       each.increment(error)) {
    std::error_code gone;
    if (each->path().filename().string().starts_with(module + "."))
      versions.emplace_back(fs::last_write_time(each->path(), gone), each->path());
  }
  std::ranges::sort(versions, std::ranges::greater{});
  for (std::size_t i = Project::kVersionsKept; i < versions.size(); ++i)
    fs::remove(versions[i].second, error);
}

// Of a build, or of what a package manager fetched: nobody edits anything there. Cargo's is a cache
// by the Cache Directory Tagging Specification.
bool has_no_sources(const fs::path& folder) {
  std::error_code gone;
  return folder.filename().string().starts_with(".") || folder.filename() == "node_modules" ||
         fs::exists(folder / "CMakeCache.txt", gone) || fs::exists(folder / "CACHEDIR.TAG", gone);
}

}  // namespace

std::vector<fs::path> changes(const Files& before, const Files& now) {
  std::vector<fs::path> changed;
  for (const auto& [file, digest] : now) {
    const auto old = before.find(file);
    if (old == before.end() || old->second != digest) changed.push_back(file);
  }
  for (const auto& [file, digest] : before) {
    if (!now.contains(file)) changed.push_back(file);
  }
  return changed;
}

Project::Project(const fs::path& source, const fs::path& build)
    : source_(fs::absolute(source).lexically_normal()),
      build_(fs::absolute(build).lexically_normal()) {
  if (!source_.has_filename()) source_ = source_.parent_path();
  if (!build_.has_filename()) build_ = build_.parent_path();
}

Files Project::read_files() const {
  Files files;
  std::error_code error;
  for (fs::recursive_directory_iterator each(source_, error), end; !error && each != end;
       each.increment(error)) {
    const fs::path& path = each->path();
    std::error_code gone;
    if (each->is_directory(gone)) {
      if (has_no_sources(path)) each.disable_recursion_pending();
      continue;
    }
    if (std::ranges::find(kRead, path.extension().string()) == kRead.end()) continue;
    files.emplace(path, digest_of(read(path)));
    if (files.size() == kFilesRead) break;
  }
  return files;
}

std::vector<std::string> Project::modules() const {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator each(build_ / "modules", error), end; !error && each != end;
       each.increment(error)) {
    if (each->path().extension() == ".wasm") names.push_back(each->path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

Interfaces Project::interfaces() const {
  Interfaces all;
  for (const std::string& name : modules()) {
    const std::string wasm = read(build_ / "modules" / (name + ".wasm"));
    const auto manifest = runtime::read_manifest(std::as_bytes(std::span(wasm)));
    if (!manifest || !*manifest) continue;
    std::string& text = all[name];
    for (const auto& function : (*manifest)->functions) text += function.signature_hash + "\n";
    for (const auto& object : (*manifest)->objects) text += object.state_hash + "\n";
  }
  return all;
}

bool Project::are_of_modules(const std::set<fs::path>& files) const {
  std::set<fs::path> read_for_modules;
  std::error_code error;
  for (fs::recursive_directory_iterator each(build_, error), end; !error && each != end;
       each.increment(error)) {
    if (!each->path().filename().string().ends_with(".sources.txt")) continue;
    std::ifstream in(each->path());
    for (std::string line; std::getline(in, line);) read_for_modules.insert(line);
  }
  return std::ranges::all_of(files, [&](const fs::path& file) {
    std::error_code gone;  // a file that is gone is of no module now
    return read_for_modules.contains(fs::canonical(file, gone));
  });
}

Result<std::size_t> Project::publish() const {
  std::error_code error;
  fs::create_directories(repository(), error);
  fs::create_directories(live(), error);
  if (error) return fail(Errc::refused, live().string() + ": " + error.message());
  std::size_t published = 0;
  const std::vector<std::string> names = modules();
  if (names.empty())
    return fail(Errc::not_found, (build_ / "modules").string() +
                                     ": the build has made no module; tag a function and call "
                                     "aloft_add_module in CMakeLists.txt");
  for (const std::string& name : names) {
    const std::string wasm = read(build_ / "modules" / (name + ".wasm"));
    if (read(live() / (name + ".wasm")) == wasm &&
        fs::exists(repository() / (name + "." + digest_of(wasm).substr(0, 16) + ".wasm"), error))
      continue;
    // The edge's comes first: the program asks for it as soon as it sees its own.
    if (auto done =
            put(repository() / (name + "." + digest_of(wasm).substr(0, 16) + ".wasm"), wasm);
        !done)
      return std::unexpected(done.error());
    if (auto done = put(live() / (name + ".wasm"), wasm); !done)
      return std::unexpected(done.error());
    prune(repository(), name);
    ++published;
  }
  return published;
}

}  // namespace aloft::cli
