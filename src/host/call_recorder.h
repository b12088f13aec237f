// Keeps the last calls that ran here, so that one that went wrong can be run again where there is
// a debugger (`aloft replay`). Off unless asked for: what is kept is what users send.
//
//   FOLDER/00000042.aloftcall    the 42nd call that was kept since this process began
//
// A call is written when it has ended, on the thread that ran it, before its answer leaves: so a
// trap is on the disk before its caller hears of it, and an edge that records is slower by that.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/module.h"
#include "runtime/recorded_call.h"
#include <aloft/result.h>

namespace aloft::host {

struct RecorderOptions {
  std::filesystem::path folder = {};               // made when missing, for this user alone
  std::size_t calls = 100;                         // kept; the oldest goes when one more comes
  std::uint64_t bytes = std::uint64_t{256} << 20;  // of all of them; a bigger call is not kept
  std::vector<std::string> functions = {};         // qualified names; empty: all
  enum class Which : std::uint8_t { all, failed } which = Which::all;
  // Takes out what must not be kept, in place; false: nothing of this call is. From any thread.
  std::function<bool(runtime::RecordedCall&)> redact = {};
};

// Thread rule: any thread.
class CallRecorder {
 public:
  // Takes over what an earlier process left in the folder, within the same limits. Errors: refused
  // (the folder cannot be made or written, or it is one that others can enter).
  [[nodiscard]] static Result<std::unique_ptr<CallRecorder>> open(RecorderOptions options);

  // What is known before the call runs: `arguments` are copied, since the guest may write over
  // them. None: this function's calls are not kept.
  [[nodiscard]] std::optional<runtime::RecordedCall> begin(
      const runtime::Module& module, std::string_view export_name,
      std::span<const std::byte> arguments) const;
  // With what came of it. What cannot be written is told in the log, once in a row.
  void keep(runtime::RecordedCall call, std::span<const std::span<const std::byte>> result,
            std::chrono::nanoseconds ran);
  void keep(runtime::RecordedCall call, const Error& error, const std::string& backtrace,
            std::chrono::nanoseconds ran);

  struct Counts {
    std::uint64_t recorded = 0;  // since open(), also those whose place another has taken
    std::uint64_t lost = 0;      // that could not be written
    std::string why_lost;        // the last of them
    std::size_t calls = 0;       // that are in the folder, also of earlier processes
    std::uint64_t bytes = 0;     // of these files
    std::filesystem::path last;  // the newest of them; empty: there is none
  };
  // Nothing is kept from here on.
  [[nodiscard]] Counts close();
  [[nodiscard]] const std::filesystem::path& folder() const { return options_.folder; }

 private:
  struct Kept {
    std::filesystem::path file;
    std::uint64_t bytes = 0;
  };
  explicit CallRecorder(RecorderOptions options) : options_(std::move(options)) {}
  void keep(runtime::RecordedCall call);
  void take_over();
  void make_room(std::uint64_t bytes);  // with the mutex held

  const RecorderOptions options_;
  std::mutex mutex_;
  std::deque<Kept> kept_;
  std::uint64_t bytes_ = 0;
  std::uint64_t last_ = 0;
  bool is_failing_ = false;
  bool is_closed_ = false;
  Counts counts_;  // recorded, lost, why_lost
};

}  // namespace aloft::host
