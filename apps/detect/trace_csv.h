// The trace of a run (--record-trace), from which `./dev bench policy --trace FILE` knows what each
// frame would have cost in either place: bench/policy/recording.h says what its columns mean.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include <aloft/result.h>

namespace detect {

// A frame that was computed in both places.
struct TraceRow {
  double at_ms = 0;               // since the first frame
  std::uint64_t input_bytes = 0;  // on the wire
  std::uint64_t reply_bytes = 0;
  double here_ms = 0;
  double edge_ms = 0;  // call to result, of which:
  double edge_run_ms = 0;
  double edge_queue_ms = 0;
  double round_trip_ms = 0;  // of a small message
};

// Written as the frames come.
class TraceCsv {
 public:
  // Errors: refused when the file cannot be written.
  [[nodiscard]] static aloft::Result<TraceCsv> create(const std::filesystem::path& path);
  [[nodiscard]] aloft::Result<void> append(const TraceRow& row);

 private:
  TraceCsv(std::filesystem::path path, std::ofstream file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace detect
