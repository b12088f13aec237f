// One call of a guest function as it was when it ran: all that is needed to run it again, and what
// came of it then. An edge keeps some (host/call_recorder.h); `aloft replay` runs one again.
//
// A file of it is a MessagePack map, "aloft" 1 and the members below; docs/record-and-replay.md
// describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <aloft/result.h>

namespace aloft::runtime {

struct RecordedCall {
  std::string module;         // its name
  std::string module_digest;  // 64 hex digits: SHA-256 of its file
  std::string function;       // qualified name
  std::string export_name;
  std::vector<std::byte> arguments;  // encoded
  // Of a method: the number of its class in the manifest, and the object's state before the call.
  std::optional<std::uint32_t> object;
  std::vector<std::byte> state;
  // What came of it: a result, encoded, or an error.
  std::vector<std::byte> result;
  std::optional<Error> error;
  std::string backtrace;  // of a trap, a frame a line
  std::uint64_t run_us = 0;

  // Bytes of what it carries.
  [[nodiscard]] std::uint64_t size() const {
    return arguments.size() + state.size() + result.size();
  }
};

// As a whole: nobody reads half of it. Errors: refused (it cannot be written).
[[nodiscard]] Result<void> write_recorded_call(const std::filesystem::path& file,
                                               const RecordedCall& call);
// Errors: not_found (no such file), corrupt (it is no recorded call, or one of another version, or
// bigger than kMaxRecordedCall).
[[nodiscard]] Result<RecordedCall> read_recorded_call(const std::filesystem::path& file);
inline constexpr std::uint64_t kMaxRecordedCall = std::uint64_t{1} << 30;  // bytes of the file

}  // namespace aloft::runtime
