#include "host/call_recorder.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".aloftcall";

std::uint64_t micros(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

// A folder that others use is not closed to them: somebody would have named it by mistake.
Result<void> make_folder(const fs::path& folder) {
  const auto refuse = [&](const std::string& why) {
    return fail(Errc::refused, folder.string() + ": calls cannot be kept there: " + why);
  };
  std::error_code error;
  if (folder.has_parent_path()) fs::create_directories(folder.parent_path(), error);
  if (error) return refuse(error.message());
  if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) return refuse(std::strerror(errno));
  struct stat found = {};
  if (::stat(folder.c_str(), &found) != 0) return refuse(std::strerror(errno));
  if (!S_ISDIR(found.st_mode)) return refuse("it is no folder");
  if (found.st_uid != ::geteuid() || (found.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return refuse("others may enter it; name a folder that is not there yet, or chmod 700 it");
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) return refuse(std::strerror(errno));
  return {};
}

}  // namespace

Result<std::unique_ptr<CallRecorder>> CallRecorder::open(RecorderOptions options) {
  if (auto made = make_folder(options.folder); !made) return std::unexpected(made.error());
  std::unique_ptr<CallRecorder> recorder(new CallRecorder(std::move(options)));
  recorder->take_over();
  return recorder;
}

void CallRecorder::take_over() {
  std::error_code error;
  for (fs::directory_iterator each(options_.folder, error), end; !error && each != end;
       each.increment(error)) {
    if (each->path().extension() != kExtension) continue;
    std::error_code gone;
    const std::uintmax_t size = each->file_size(gone);
    if (!gone) kept_.push_back({each->path(), size});
  }
  std::ranges::sort(kept_, {}, &Kept::file);
  for (const Kept& each : kept_) bytes_ += each.bytes;
  if (!kept_.empty()) last_ = std::strtoull(kept_.back().file.stem().c_str(), nullptr, 10);
  make_room(0);
}

void CallRecorder::make_room(std::uint64_t bytes) {
  std::error_code ignored;  // a file that somebody took away makes room as well
  while (!kept_.empty() && (kept_.size() >= options_.calls || bytes_ + bytes > options_.bytes)) {
    bytes_ -= kept_.front().bytes;
    fs::remove(kept_.front().file, ignored);
    kept_.pop_front();
  }
}

std::optional<runtime::RecordedCall> CallRecorder::begin(
    const runtime::Module& module, std::string_view export_name,
    std::span<const std::byte> arguments) const {
  if (arguments.size() > options_.bytes || !module.manifest()) return {};
  const auto& functions = module.manifest()->functions;
  const auto function =
      std::ranges::find(functions, export_name, &runtime::Manifest::Function::export_name);
  if (function == functions.end()) return {};
  if (!options_.functions.empty() &&
      std::ranges::find(options_.functions, function->name) == options_.functions.end())
    return {};
  runtime::RecordedCall call;
  call.module = module.manifest()->module;
  call.module_digest = module.digest().hex();
  call.function = function->name;
  call.export_name = function->export_name;
  call.object = function->object;
  call.arguments.assign(arguments.begin(), arguments.end());
  return call;
}

void CallRecorder::keep(runtime::RecordedCall call,
                        std::span<const std::span<const std::byte>> result,
                        std::chrono::nanoseconds ran) {
  std::uint64_t size = 0;
  for (const auto segment : result) size += segment.size();
  if (size > options_.bytes) return;
  for (const auto segment : result)
    call.result.insert(call.result.end(), segment.begin(), segment.end());
  call.run_us = micros(ran);
  keep(std::move(call));
}

void CallRecorder::keep(runtime::RecordedCall call, const Error& error,
                        const std::string& backtrace, std::chrono::nanoseconds ran) {
  call.error = error;
  call.backtrace = backtrace;
  call.run_us = micros(ran);
  keep(std::move(call));
}

void CallRecorder::keep(runtime::RecordedCall call) {
  if (options_.which == RecorderOptions::Which::failed && !call.error) return;
  if (options_.redact && !options_.redact(call)) return;
  if (call.size() > options_.bytes) return;
  const std::lock_guard lock(mutex_);
  if (is_closed_) return;
  make_room(call.size());
  const fs::path file = options_.folder / fmt::format("{:08}{}", ++last_, kExtension);
  const Result<void> written = runtime::write_recorded_call(file, call);
  if (written) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    kept_.push_back({file, error ? call.size() : size});
    bytes_ += kept_.back().bytes;
    ++counts_.recorded;
  } else {
    if (!is_failing_) spdlog::warn("a call is not recorded: {}", written.error().message);
    ++counts_.lost;
    counts_.why_lost = written.error().message;
  }
  is_failing_ = !written;
}

CallRecorder::Counts CallRecorder::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  counts_.calls = kept_.size();
  counts_.bytes = bytes_;
  if (!kept_.empty()) counts_.last = kept_.back().file;
  return counts_;
}

}  // namespace aloft::host
