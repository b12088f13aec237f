#include "measurements.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace detect {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

std::optional<PlaceSummary> summarize_place(std::span<const FrameRow> rows, aloft::Place place) {
  PlaceSummary summary;
  std::vector<double> latencies;
  double time_ms = 0;
  double cpu_ms = 0;
  double tx = 0;
  struct Values {
    std::vector<double> tx_bytes, encode_ms, decode_ms;
  };
  std::map<std::string, Values> codecs;
  for (const FrameRow& row : rows) {
    if (row.place != place) continue;
    if (place == aloft::Place::edge) {
      Values& values = codecs[codec_name(row.images.coding)];
      values.tx_bytes.push_back(static_cast<double>(row.tx_bytes));
      values.encode_ms.push_back(Milliseconds(row.images.encode).count());
      values.decode_ms.push_back(Milliseconds(row.images.decode).count());
    }
    ++summary.frames;
    latencies.push_back(row.latency_ms);
    time_ms += row.interval_ms;
    cpu_ms += row.cpu_ms;
    tx += static_cast<double>(row.tx_bytes);
  }
  if (summary.frames == 0) return std::nullopt;
  const auto count = static_cast<double>(summary.frames);
  summary.fps = time_ms > 0 ? count * 1000 / time_ms : 0;
  summary.latency_ms = {.p50 = percentile(latencies, 0.50), .p99 = percentile(latencies, 0.99)};
  summary.cpu_ms_per_frame = cpu_ms / count;
  summary.tx_bytes_per_frame = tx / count;
  for (const auto& [name, values] : codecs) {
    summary.codecs[name] = {.frames = values.tx_bytes.size(),
                            .tx_bytes = percentile(values.tx_bytes, 0.5),
                            .encode_ms = percentile(values.encode_ms, 0.5),
                            .decode_ms = percentile(values.decode_ms, 0.5)};
  }
  return summary;
}

}  // namespace

std::string codec_name(const aloft::ImageCoding& coding) {
  return coding.format == aloft::ImageFormat::raw ? "raw"
                                                  : "jpeg:" + std::to_string(coding.quality);
}

double FrameRate::add(aloft::Place place, double interval_ms) {
  if (place != place_) intervals_.clear();
  place_ = place;
  if (intervals_.size() == kWindow) intervals_.erase(intervals_.begin());
  intervals_.push_back(interval_ms);
  const double total = std::accumulate(intervals_.begin(), intervals_.end(), 0.0);
  return total > 0 ? static_cast<double>(intervals_.size()) * 1000 / total : 0;
}

double percentile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  const auto rank =
      static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
  const auto nth = values.begin() +
                   static_cast<std::ptrdiff_t>(std::clamp<std::size_t>(rank, 1, values.size()) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

RunSummary summarize(std::span<const FrameRow> rows) {
  RunSummary summary;
  std::set<std::uint64_t> seen;
  double time_ms = 0;
  double cpu_ms = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const FrameRow& row = rows[i];
    if (i > 0 && row.place != rows[i - 1].place) ++summary.switches;
    if (!seen.empty() && row.frame < *seen.rbegin()) ++summary.reordered;
    if (!seen.insert(row.frame).second) ++summary.duplicated;
    if (row.fell_back) ++summary.fallbacks;
    if (row.takeover_ms)
      summary.takeover_ms = std::max(summary.takeover_ms.value_or(0), *row.takeover_ms);
    time_ms += row.interval_ms;
    cpu_ms += row.cpu_ms;
  }
  summary.frames = rows.size();
  if (!seen.empty()) summary.lost = *seen.rbegin() + 1 - seen.size();
  summary.cpu_percent = time_ms > 0 ? 100 * cpu_ms / time_ms : 0;
  summary.local = summarize_place(rows, aloft::Place::here);
  summary.remote = summarize_place(rows, aloft::Place::edge);
  return summary;
}

}  // namespace detect
