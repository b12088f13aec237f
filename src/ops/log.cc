#include "ops/log.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace aloft::ops {
namespace {

// Between a message and its fields, and between a field's name and its value.
constexpr char kField = '\x1e';
constexpr char kValue = '\x1f';

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Further lines (of a backtrace) are set in, so that each event begins at the margin.
void append_plain(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (c == '\n') {
      to += "\n  ";
    } else if (is_control(c)) {
      to += '?';
    } else {
      to += c;
    }
  }
}

// Length of the UTF-8 sequence at the start of `text`; 0: it is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first >= 0xf0 && first < 0xf5   ? 4
                           : first >= 0xe0 && first < 0xf0 ? 3
                           : first >= 0xc2 && first < 0xe0 ? 2
                                                           : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  // Longer than need be, surrogates, beyond the last one.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f))
    return 0;
  return size;
}

void append_json(std::string& to, std::string_view text) {
  to += '"';
  while (!text.empty()) {
    const char c = text.front();
    std::size_t size = 1;
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (c == '\n') {
      to += "\\n";
    } else if (c == '\t') {
      to += "\\t";
    } else if (is_control(c)) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned char>(c));
      to += escaped;
    } else if (size = utf8_length(text); size == 0) {
      size = 1;
      to += "\xef\xbf\xbd";  // U+FFFD
    } else {
      to += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  to += '"';
}

std::string time_text(spdlog::log_clock::time_point at, LogFormat format) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch());
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(since).count();
  std::tm parts{};
  const bool json = format == LogFormat::json;
  json ? ::gmtime_r(&seconds, &parts) : ::localtime_r(&seconds, &parts);
  char text[40];
  const std::size_t size =
      std::strftime(text, sizeof text, json ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &parts);
  char rest[8];
  std::snprintf(rest, sizeof rest, ".%03d%s", static_cast<int>(since.count() % 1000),
                json ? "Z" : "");
  return std::string(text, size) + rest;
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& to) override {
    const std::string line =
        format_line(format_, {message.logger_name.data(), message.logger_name.size()},
                    message.level, message.time, {message.payload.data(), message.payload.size()});
    to.append(line.data(), line.data() + line.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  const LogFormat format_;
};

}  // namespace

LogFormat parse_log_format(std::string_view text) {
  return text == "json" ? LogFormat::json : LogFormat::text;
}

std::string_view to_string(LogFormat format) { return format == LogFormat::json ? "json" : "text"; }

std::string pack(std::string_view message, const LogFields& fields) {
  // A first character that tells it from the text of a plain call, which has no fields.
  std::string packed(1, kField);
  const auto append = [&](std::string_view text) {
    for (const char c : text) packed += c == kField || c == kValue ? '?' : c;
  };
  append(message);
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    packed += kField;
    append(name);
    packed += kValue;
    append(value);
  }
  return packed;
}

std::string format_line(LogFormat format, std::string_view program, spdlog::level::level_enum level,
                        spdlog::log_clock::time_point time, std::string_view payload) {
  const auto level_name = spdlog::level::to_string_view(level);
  const std::string_view level_text(level_name.data(), level_name.size());
  const auto next = [&](char end) {
    const std::string_view part = payload.substr(0, payload.find(end));
    payload.remove_prefix(std::min(payload.size(), part.size() + 1));
    return part;
  };
  std::string line;
  std::string_view message = payload;
  if (payload.starts_with(kField)) {
    payload.remove_prefix(1);
    message = next(kField);
  } else {
    payload = {};
  }
  const std::string process = std::to_string(::getpid());
  if (format == LogFormat::json) {
    line = R"({"time":")" + time_text(time, format) + R"(","level":")";
    line += level_text;
    line += R"(","program":)";
    append_json(line, program);
    line += R"(,"pid":)" + process + R"(,"message":)";
    append_json(line, message);
  } else {
    line = time_text(time, format) + " ";
    line += program;
    line += "[" + process + "] ";
    line += level_text;
    line += ": ";
    append_plain(line, message);
  }
  while (!payload.empty()) {
    std::string_view field = next(kField);
    const std::string_view name = field.substr(0, field.find(kValue));
    field.remove_prefix(std::min(field.size(), name.size() + 1));
    if (format == LogFormat::json) {
      line += ',';
      append_json(line, name);
      line += ':';
      append_json(line, field);
    } else {
      line += ' ';
      line += name;
      line += '=';
      append_plain(line, field);
    }
  }
  line += format == LogFormat::json ? "}\n" : "\n";
  return line;
}

void log(spdlog::level::level_enum level, std::string_view message, const LogFields& fields) {
  if (!spdlog::should_log(level)) return;
  const std::string packed = pack(message, fields);
  spdlog::default_logger_raw()->log(level, spdlog::string_view_t(packed.data(), packed.size()));
}

void start_logging(const std::string& program, std::string_view level, LogFormat format,
                   spdlog::sink_ptr to) {
  if (to == nullptr) to = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>(program, std::move(to));
  logger->set_formatter(std::make_unique<LineFormatter>(format));
  spdlog::set_default_logger(std::move(logger));
  spdlog::set_level(spdlog::level::from_str(std::string(level)));
}

}  // namespace aloft::ops
