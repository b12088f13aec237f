// What is read from files, and read again whenever they change, while it is used: keys,
// certificates, tables. A change is taken whole or not at all: where the files are not good, what
// was in force stays, and that is told once, however often something else in their folders changes.
//
//   auto opened = Reloaded<Table>::open({file}, [file](const Table*) { return load(file); }, told);
//   const auto table = (*opened)->value();
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "config/folder_watch.h"
#include <aloft/result.h>

namespace aloft::config {

// What has come of a change of the files.
enum class Reload : std::uint8_t {
  another,  // another value is in force
  same,     // the files say what they said before
};

// T can be compared. Thread rule: any thread.
template <class T>
class Reloaded {
 public:
  // Reads the files; it is given what is in force, null at first, which the next may have to fit.
  using Read = std::function<Result<T>(const T* in_force)>;
  // Called on a thread of its own or reload()'s, one call at a time: another value is in force; the
  // files are not good (once for each reason); they are good again. Not for the first value. Must
  // not call this object; the second is what is in force now.
  using Told = std::function<void(const Result<Reload>&, const T&)>;

  // Returns with a value in force. Errors: those of `read`; those of FolderWatch.
  [[nodiscard]] static Result<std::unique_ptr<Reloaded>> open(
      const std::vector<std::filesystem::path>& files, Read read, Told told) {
    std::unique_ptr<Reloaded> made(new Reloaded(std::move(read), std::move(told)));
    if (auto loaded = made->load(); !loaded) return std::unexpected(std::move(loaded).error());
    auto watch = FolderWatch::start(files, [at = made.get()] { (void)at->reload(); });
    if (!watch) return std::unexpected(std::move(watch).error());
    made->watch_ = *std::move(watch);
    (void)made->reload();  // what changed before it was watched
    return made;
  }
  // The destructor waits for a call of `told`.

  // What is in force; it does not change, a later call may give another one.
  [[nodiscard]] std::shared_ptr<const T> value() const { return versioned().second; }
  // With its number: the first one is 1.
  [[nodiscard]] std::pair<std::uint64_t, std::shared_ptr<const T>> versioned() const {
    const std::lock_guard lock(mutex_);
    return {version_, value_};
  }
  // Reads the files now, for those who do not want to rely on the watch (network file systems tell
  // nothing). What has come of it is told as well. Errors: those of `read`.
  Result<void> reload() {
    const std::lock_guard one_at_a_time(loading_);
    const Result<Reload> outcome = load();
    const std::string error = outcome ? "" : outcome.error().message;
    const bool news = error != last_error_ || outcome.value_or(Reload::same) == Reload::another;
    last_error_ = error;
    if (news && told_) told_(outcome, *value());
    if (!outcome) return std::unexpected(outcome.error());
    return {};
  }

 private:
  Reloaded(Read read, Told told) : read_(std::move(read)), told_(std::move(told)) {}

  // One at a time, so that the later one's value is the one that stays, and is told last.
  Result<Reload> load() {
    const auto before = value();
    Result<T> fresh = read_(before.get());
    if (!fresh) return std::unexpected(std::move(fresh).error());
    if (before != nullptr && *before == *fresh) return Reload::same;
    const std::lock_guard lock(mutex_);
    value_ = std::make_shared<const T>(*std::move(fresh));
    ++version_;
    return Reload::another;
  }

  const Read read_;
  const Told told_;
  std::mutex loading_;
  std::string last_error_;  // under loading_
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::uint64_t version_ = 0;
  std::unique_ptr<FolderWatch> watch_;  // last: it uses all of the above
};

}  // namespace aloft::config
