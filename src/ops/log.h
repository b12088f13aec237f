// How aloft's daemons log: one line an event on standard error, for people or for machines.
//
//   text   2026-01-31 12:00:00.000 aloft-host[7] info: a session is expected session=5f..
//   trace_id=4b.. json
//   {"time":"2026-01-31T12:00:00.000Z","level":"info","program":"aloft-host","pid":7,
//           "message":"a session is expected","session":"5f..","trace_id":"4b.."}
//
// A line that belongs to a session, a tenant or a trace says so in fields of its own, whatever its
// text is; so that one trace id finds the lines of all processes. spdlog carries the lines, and
// those of plain spdlog calls come out the same way, without fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <spdlog/common.h>

namespace aloft::ops {

enum class LogFormat : std::uint8_t { text, json };
// "text" or "json"; anything else is text.
[[nodiscard]] LogFormat parse_log_format(std::string_view text);
[[nodiscard]] std::string_view to_string(LogFormat format);

// Once, at the start of a program: `level` as spdlog has it ("debug", "info", "warn", "error").
// `to`: null: standard error.
void start_logging(const std::string& program, std::string_view level, LogFormat format,
                   spdlog::sink_ptr to = nullptr);

// Names are literals of a-z and '_'; a field whose value is empty is left out.
using LogFields = std::vector<std::pair<std::string_view, std::string>>;

// Any thread. Control characters in it are shown, not obeyed: what a guest prints can forge neither
// a line nor a field.
void log(spdlog::level::level_enum level, std::string_view message, const LogFields& fields);

// A whole line as it is written, for tests and for those who write to somewhere else.
[[nodiscard]] std::string format_line(LogFormat format, std::string_view program,
                                      spdlog::level::level_enum level,
                                      spdlog::log_clock::time_point time, std::string_view payload);
// What log() hands to spdlog: the message, and the fields between characters that no part of it
// has.
[[nodiscard]] std::string pack(std::string_view message, const LogFields& fields);

}  // namespace aloft::ops
