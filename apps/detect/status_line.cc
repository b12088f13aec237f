#include "status_line.h"

#include <cstdio>

#include <unistd.h>

namespace detect {
namespace {

using namespace std::chrono_literals;

constexpr auto kTerminalPause = 50ms;  // between two drawings
constexpr auto kPlainPause = 5s;       // between two lines in a log

std::string decimal(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

}  // namespace

StatusLine::StatusLine(std::uint64_t frames)
    : frames_(frames), terminal_(::isatty(STDERR_FILENO) == 1) {}

StatusLine::~StatusLine() {
  if (drawn_) std::fputc('\n', stderr);
}

std::string StatusLine::text(const FrameRow& row, std::uint64_t frames) {
  std::string line = "frame " + std::to_string(row.frame + 1);
  if (frames != 0) line += '/' + std::to_string(frames);
  line += row.place == aloft::Place::edge ? "  at the edge  " : "  on the device  ";
  line += decimal(row.fps, 1) + " frames/s  " + std::to_string(row.detections) +
          (row.detections == 1 ? " object" : " objects") + "  UE CPU " +
          decimal(row.ue_cpu_percent, 0) + " %";
  if (row.ue_temperature_c) line += "  " + decimal(*row.ue_temperature_c, 1) + " C";
  return line;
}

void StatusLine::progress(const FrameRow& row) {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  const bool last = frames_ != 0 && row.frame + 1 == frames_;
  const bool hop = row.place != place_;
  if (!hop && !last && now - shown_ < (terminal_ ? kTerminalPause : kPlainPause)) return;
  place_ = row.place;
  shown_ = now;
  last_ = text(row, frames_);
  if (terminal_) {
    std::fprintf(stderr, "\r%s\033[K", last_.c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", last_.c_str());
  }
}

void StatusLine::message(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (drawn_) std::fputs("\r\033[K", stderr);
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  if (drawn_) std::fputs(last_.c_str(), stderr);
}

}  // namespace detect
