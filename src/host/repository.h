// The module repository of one edge: a folder of sealed modules, found by name and digest.
//
// The folder is the operator's and is trusted as far as its modules may be compiled here; what a
// session runs is still exactly what it named, since a file is hashed before it is loaded, and
// again when it was touched since. A module put into the folder while the handler runs is found
// when it is first asked for; the last ones stay loaded, so that a session that comes after another
// finds its module ready.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/digest.h"
#include "runtime/engine.h"
#include "runtime/module.h"
#include <aloft/result.h>

namespace aloft::host {

// Thread rule: any thread except an I/O thread: files are read, and modules compiled.
class Repository {
 public:
  // `engine` is borrowed. Errors: not_found when there is no such folder.
  [[nodiscard]] static Result<std::unique_ptr<Repository>> open(std::filesystem::path folder,
                                                                runtime::Engine& engine);

  // The module, loaded; sessions that hold the same one share it. Errors: not_found (no file with
  // this digest, or it is another module), refused (it has no manifest, or wants an import that
  // guests do not get), corrupt (damaged, or an export of its manifest is missing),
  // version_mismatch (another guest ABI).
  [[nodiscard]] Result<std::shared_ptr<const runtime::Module>> find(const std::string& name,
                                                                    const Digest& digest);

 private:
  struct File {
    std::filesystem::path path;
    std::uintmax_t size = 0;  // bytes; with `modified` tells whether the file must be hashed again
    std::filesystem::file_time_type modified;
    Digest digest;
    std::weak_ptr<const runtime::Module> module;
  };

  Repository(std::filesystem::path folder, runtime::Engine& engine)
      : folder_(std::move(folder)), engine_(engine) {}
  [[nodiscard]] File* find_file(const Digest& digest);
  [[nodiscard]] static bool is_still_there(File& file);
  void keep(const std::shared_ptr<const runtime::Module>& module);
  void scan();
  [[nodiscard]] Result<std::shared_ptr<const runtime::Module>> load(File& file);

  const std::filesystem::path folder_;
  runtime::Engine& engine_;
  std::mutex mutex_;
  std::map<std::filesystem::path, File> files_;
  std::deque<std::shared_ptr<const runtime::Module>> kept_;  // that were wanted last
};

}  // namespace aloft::host
