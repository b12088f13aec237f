#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "config/folder_watch.h"
#include <aloft/live_modules.h>

namespace aloft {

namespace fs = std::filesystem;

namespace {

// "sha256:...", as a module is asked for; of a file that cannot be read, of what could be.
std::string digest_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return "sha256:" + sha256(std::as_bytes(std::span(bytes))).hex();
}

}  // namespace

struct LiveModules::Impl {
  Runtime& runtime;
  fs::path folder;
  std::function<void(const ModuleChange&)> told;
  std::mutex mutex;
  std::map<std::string, std::string> tried;    // by module, the digest of the last file
  std::unique_ptr<config::FolderWatch> watch;  // last: its thread uses the others

  Impl(Runtime& of, fs::path in, std::function<void(const ModuleChange&)> telling)
      : runtime(of), folder(std::move(in)), told(std::move(telling)) {}

  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    std::error_code error;  // what cannot be read now is read after the next change
    for (fs::directory_iterator each(folder, error), end; !error && each != end;
         each.increment(error)) {
      if (each->path().extension() == ".wasm") all.push_back(each->path());
    }
    std::ranges::sort(all);
    return all;
  }

  void take() {
    const std::lock_guard lock(mutex);
    for (const fs::path& file : files()) {
      const std::string module = file.stem().string();
      const std::string digest = digest_of(file);
      if (std::exchange(tried[module], digest) == digest || digest == runtime.module_digest(module))
        continue;
      const UpgradeOptions options{.fallback = Fallback::none};
      const ModuleChange change{module, digest, runtime.upgrade(module, file, options)};
      if (told) told(change);
    }
  }
};

LiveModules::LiveModules(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LiveModules::~LiveModules() = default;

Result<std::unique_ptr<LiveModules>> LiveModules::follow(
    Runtime& runtime, fs::path folder, std::function<void(const ModuleChange&)> told) {
  auto impl = std::make_unique<Impl>(runtime, std::move(folder), std::move(told));
  Impl& running = *impl;
  auto watch = config::FolderWatch::start({impl->folder / "any"}, [&running] { running.take(); });
  if (!watch) return std::unexpected(watch.error());
  running.watch = *std::move(watch);
  running.take();
  return std::unique_ptr<LiveModules>(new LiveModules(std::move(impl)));
}

}  // namespace aloft
