// Tells when something in the folders of some files has changed, so that these can be read again
// while they are used. The folder is watched and not the file: an editor, and Kubernetes as well,
// put another file (or the target of a link) in its place.
//
// A writer needs some steps for one change, so it waits until nothing has happened for 50 ms, and
// tells once; at least each second where something changes all the time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include <aloft/result.h>

namespace aloft::config {

// Thread rule: any thread.
class FolderWatch {
 public:
  // What changes after this has returned is told; `changed` is called on a thread of its own, one
  // call at a time. Errors: not_found (a folder), internal (the system gives no watch).
  [[nodiscard]] static Result<std::unique_ptr<FolderWatch>> start(
      const std::vector<std::filesystem::path>& files, std::function<void()> changed);
  ~FolderWatch();  // waits for a call of `changed`
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

 private:
  struct Impl;
  explicit FolderWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::config
