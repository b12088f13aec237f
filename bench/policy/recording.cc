#include "recording.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aloft::bench {
namespace {

constexpr std::string_view kHeader =
    "at_ms,input_bytes,reply_bytes,here_ms,edge_ms,edge_run_ms,edge_queue_ms,round_trip_ms";
constexpr std::size_t kColumns = 8;
enum Column : std::size_t { at, input, reply, here, edge, edge_run, edge_queue, round_trip };
using Line = std::array<double, kColumns>;

std::optional<Line> parse(std::string_view text) {
  Line line{};
  for (std::size_t i = 0; i < kColumns; ++i) {
    const auto end = text.find(',');
    if ((end == std::string_view::npos) != (i + 1 == kColumns)) return std::nullopt;
    const std::string_view field = text.substr(0, end);
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), line[i]);
    if (error != std::errc() || stop != field.data() + field.size()) return std::nullopt;
    if (!std::isfinite(line[i]) || line[i] < 0) return std::nullopt;
    if (i + 1 < kColumns) text.remove_prefix(end + 1);
  }
  return line;
}

double median(const std::vector<Line>& lines, Column column) {
  std::vector<double> values;
  for (const Line& line : lines) values.push_back(line[column]);
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

Result<Recording> read_recording(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string text;
  if (!stream || !std::getline(stream, text))
    return fail(Errc::not_found, "cannot read the trace " + file.string());
  if (text != kHeader) {
    return fail(Errc::corrupt,
                file.string() +
                    " is no trace of apps/detect --record-trace: its first line is not '" +
                    std::string(kHeader) + "'");
  }
  std::vector<Line> lines;
  for (std::size_t number = 2; std::getline(stream, text); ++number) {
    const auto line = parse(text);
    if (!line || line->at(here) <= 0 || line->at(edge) <= 0 || line->at(input) <= 0) {
      return fail(Errc::corrupt, file.string() + ":" + std::to_string(number) + ": not " +
                                     std::to_string(kColumns) +
                                     " numbers of a frame that was computed in both places");
    }
    lines.push_back(*line);
  }
  if (lines.size() < 2)
    return fail(Errc::corrupt, file.string() + " has no two frames: record more of them");

  const double pace_ms =
      std::max(1.0, (lines.back()[at] - lines.front()[at]) / static_cast<double>(lines.size() - 1));
  const Workload workload{.name = "recorded",
                          .input_bytes = median(lines, input),
                          .reply_bytes = median(lines, reply),
                          .here_ms = median(lines, here),
                          .edge_ms = std::max(1e-3, median(lines, edge_run)),
                          .pace_ms = pace_ms};
  Trace trace{.name = file.stem().string(), .step_s = pace_ms / 1e3, .rows = {}};
  for (const Line& line : lines) {
    const double on_air_ms =
        std::max(0.01, line[edge] - line[edge_run] - line[edge_queue] - line[round_trip]);
    // Of what an average frame sends, since that is what a frame of the workload will.
    const double mbps = (workload.input_bytes + workload.reply_bytes) * 8 / (on_air_ms * 1e3);
    trace.rows.push_back({.round_trip_ms = std::max(0.01, line[round_trip]),
                          .uplink_mbps = mbps,
                          .downlink_mbps = mbps,
                          .device_load = line[here] / workload.here_ms,
                          .edge_load = line[edge_run] / workload.edge_ms,
                          .edge_queue_ms = line[edge_queue]});
  }
  return Recording{.trace = std::move(trace), .workload = workload};
}

}  // namespace aloft::bench
