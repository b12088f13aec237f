// One line on standard error that says how far the run is, and the messages that come in between.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "measurements.h"

namespace detect {

// On a terminal the line is drawn over itself; elsewhere a line is printed every few seconds and at
// each hop. Thread rule: any thread.
class StatusLine {
 public:
  // `frames`: of the whole run, 0 where there is no end.
  explicit StatusLine(std::uint64_t frames);
  ~StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  void progress(const FrameRow& row);
  // A message of its own line, such as the edge going away.
  void message(std::string_view text);

  // What progress() shows of a row: "frame 120/600  at the edge  10.4 frames/s  3 objects  UE CPU 2
  // %".
  [[nodiscard]] static std::string text(const FrameRow& row, std::uint64_t frames);

 private:
  const std::uint64_t frames_;
  const bool terminal_;
  std::mutex mutex_;
  bool drawn_ = false;
  std::string last_;
  aloft::Place place_ = aloft::Place::here;
  std::chrono::steady_clock::time_point shown_{};
};

}  // namespace detect
