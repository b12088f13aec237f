#include "host/call_recorder.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace aloft::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".aloftcall";

std::uint64_t micros(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time).count());
}

}  // namespace

Result<std::unique_ptr<CallRecorder>> CallRecorder::open(RecorderOptions options) {
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (!error) fs::permissions(options.folder, fs::perms::owner_all, error);
  if (error)
    return fail(Errc::refused,
                options.folder.string() + ": calls cannot be kept there: " + error.message());
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
  make_room(call.size());
  const fs::path file = options_.folder / fmt::format("{:08}{}", ++last_, kExtension);
  const Result<void> written = runtime::write_recorded_call(file, call);
  if (written) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    kept_.push_back({file, error ? call.size() : size});
    bytes_ += kept_.back().bytes;
  } else if (!is_failing_) {
    spdlog::warn("a call is not recorded: {}", written.error().message);
  }
  is_failing_ = !written;
}

}  // namespace aloft::host
