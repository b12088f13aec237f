// A program that takes new versions of its modules while it runs, as they appear in a folder: how
// `aloft dev` has a change of a function at the edge some seconds after it was saved. A program
// that is not being worked on has no need of it, and none of its cost.
//
//   auto live = aloft::LiveModules::follow(*runtime, folder, [](const auto& change) { ... });
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft {

// What became of one version that appeared.
struct ModuleChange {
  std::string module;
  std::string digest;            // "sha256:..." of its file
  Result<UpgradeReport> report;  // an error: the version before goes on serving
};

class LiveModules {
 public:
  // `folder` has a file NAME.wasm for each module that is to be followed; one is replaced as a
  // whole (rename). Runtime::upgrade() is called with those that are there now, and with each
  // that replaces one, with Fallback::none: what is compiled into the program is another version.
  // `told` is called after each, within this or on a thread of the object's, one call at a time; it
  // must not end the object. A file that is what edges are asked for already changes nothing.
  // `runtime` is borrowed. Errors: not_found (no such folder), internal (the system gives no
  // watch).
  [[nodiscard]] static Result<std::unique_ptr<LiveModules>> follow(
      Runtime& runtime, std::filesystem::path folder,
      std::function<void(const ModuleChange&)> told);
  ~LiveModules();  // waits for an upgrade that is under way
  LiveModules(const LiveModules&) = delete;
  LiveModules& operator=(const LiveModules&) = delete;

 private:
  struct Impl;
  explicit LiveModules(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft
