// A project that `aloft dev` works on: its sources, its build folder, and where the versions of its
// modules go that an edge and the program take.
//
//   BUILD/aloft-dev/repository/   NAME.DIGEST.wasm: the last kVersionsKept versions, for the edge
//   BUILD/aloft-dev/modules/      NAME.wasm: the newest, for the program
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::cli {

// What the sources hold: a digest of each file.
using Files = std::map<std::filesystem::path, std::string>;
// The files that differ, are new or are gone.
[[nodiscard]] std::vector<std::filesystem::path> changes(const Files& before, const Files& now);

// The types of each module's functions and states, as a program is built against them.
using Interfaces = std::map<std::string, std::string>;

class Project {
 public:
  Project(const std::filesystem::path& source, const std::filesystem::path& build);

  [[nodiscard]] const std::filesystem::path& source() const { return source_; }
  [[nodiscard]] const std::filesystem::path& build() const { return build_; }
  [[nodiscard]] std::filesystem::path repository() const { return build_ / "aloft-dev/repository"; }
  [[nodiscard]] std::filesystem::path live() const { return build_ / "aloft-dev/modules"; }

  // Sources, headers and CMake's files; what is hidden, built or fetched is left out, and what
  // comes after the first kFilesRead.
  [[nodiscard]] Files read_files() const;
  static constexpr std::size_t kFilesRead = 20'000;

  // The names of the modules that were built last.
  [[nodiscard]] std::vector<std::string> modules() const;
  [[nodiscard]] Interfaces interfaces() const;
  // Whether the last build read all of `files` for a module: then a change of them can stay within
  // modules.
  [[nodiscard]] bool are_of_modules(const std::set<std::filesystem::path>& files) const;

  // Copies what was built to where it is taken from; answers how many modules are new. Errors:
  // refused (a folder cannot be written), not_found (no module was built).
  [[nodiscard]] Result<std::size_t> publish() const;
  static constexpr std::size_t kVersionsKept = 4;

 private:
  std::filesystem::path source_;
  std::filesystem::path build_;
};

}  // namespace aloft::cli
