// What is measured about each frame, and what a whole run comes to.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <aloft/image_codec.h>
#include <aloft/policy.h>

namespace detect {

// One frame. The same fields, in this order, are the columns of frames.csv.
struct FrameRow {
  std::uint64_t frame = 0;
  aloft::Place place = aloft::Place::here;  // where detect_object ran in the end
  double latency_ms = 0;                    // call of detect_object to its result
  double fps = 0;                           // over the last frames of the same place, see FrameRate
  double ue_cpu_percent = 0;                // of one core, this process since the previous frame
  std::optional<double> ue_temperature_c;   // absent: no sensor
  std::uint64_t tx_bytes = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t detections = 0;
  std::vector<std::uint64_t> tracks;  // identities of those who are seen, rising
  aloft::ImageCodingRecord images{};  // how the frame went to the edge

  // Not in frames.csv; the report is made of these.
  double interval_ms = 0;  // since the previous frame's result
  double cpu_ms = 0;       // of this process in that interval
  bool fell_back = false;  // meant for the edge, which failed
  std::optional<double> takeover_ms;
};

// Frames a second over a sliding window of frames computed in one place; a hop starts it anew.
class FrameRate {
 public:
  // Adds a frame that took `interval_ms` since the one before; answers the rate now.
  double add(aloft::Place place, double interval_ms);

 private:
  static constexpr std::size_t kWindow = 10;  // frames
  std::vector<double> intervals_;
  aloft::Place place_ = aloft::Place::here;
};

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};

// All frames of one place in a run.
struct PlaceSummary {
  std::uint64_t frames = 0;
  double fps = 0;  // frames / the time from the result before each to its own
  Percentiles latency_ms;
  double cpu_ms_per_frame = 0;  // this process, everything it does for a frame
  double tx_bytes_per_frame = 0;
  // Of the frames by each way, "raw" or "jpeg:QUALITY", in the order of these.
  struct Coding {
    std::uint64_t frames = 0;
    double tx_bytes = 0;  // medians, of one frame
    double encode_ms = 0;
    double decode_ms = 0;  // at the edge
  };
  std::map<std::string, Coding> codecs{};
};

// "raw", "jpeg:90".
[[nodiscard]] std::string codec_name(const aloft::ImageCoding& coding);

struct RunSummary {
  std::uint64_t frames = 0;
  std::uint64_t switches = 0;  // changes of place between consecutive frames
  std::uint64_t lost = 0;      // numbers below the highest seen that never came
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;  // came after a higher number
  std::uint64_t fallbacks = 0;
  std::optional<double> takeover_ms;  // the longest
  double cpu_percent = 0;             // of one core, this process over the whole run
  std::optional<PlaceSummary> local;
  std::optional<PlaceSummary> remote;
};

[[nodiscard]] RunSummary summarize(std::span<const FrameRow> rows);

// Nearest-rank percentile, `fraction` in 0..1, of unsorted values; 0 for none.
[[nodiscard]] double percentile(std::vector<double> values, double fraction);

}  // namespace detect
