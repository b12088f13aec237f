#include "report.h"

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

namespace detect {
namespace {

// Keys stay in the order they are written, for the reader's sake.
using Json = nlohmann::ordered_json;

Json to_json(const PlaceSummary& place) {
  Json json = {{"frames", place.frames},
               {"fps", place.fps},
               {"latency_ms", {{"p50", place.latency_ms.p50}, {"p99", place.latency_ms.p99}}},
               {"cpu_ms_per_frame", place.cpu_ms_per_frame},
               {"tx_bytes_per_frame", place.tx_bytes_per_frame}};
  for (const auto& [name, coding] : place.codecs) {
    json["codecs"][name] = {{"frames", coding.frames},
                            {"tx_bytes", coding.tx_bytes},
                            {"encode_ms", coding.encode_ms},
                            {"decode_ms", coding.decode_ms}};
  }
  return json;
}

Json to_json(const TrackerMoves& tracker) {
  Json blackout = nullptr;
  if (!tracker.blackout_ms.empty()) {
    blackout = {{"p50", percentile(tracker.blackout_ms, 0.50)},
                {"max", std::ranges::max(tracker.blackout_ms)}};
  }
  return {{"identities", tracker.identities}, {"moves", tracker.moves},
          {"moves_failed", tracker.failed},   {"recoveries", tracker.recoveries},
          {"blackout_ms", blackout},          {"state_bytes", tracker.state_bytes}};
}

Json to_json(const BoxError& error) {
  return {{"one_minus_iou", error.not_covered}, {"centre_pixels", error.centre_pixels}};
}

Json to_json(const CompensationReport& compensation) {
  return {{"frames", compensation.frames},
          {"boxes", compensation.boxes},
          {"age_frames", compensation.age_frames},
          {"box_error", to_json(compensation.carried)},
          {"box_error_without", to_json(compensation.as_they_were)}};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

void add_baseline(Json& json, const std::vector<BaselineBlock>& blocks) {
  std::vector<double> native;
  std::vector<double> ratios;
  Json rows = Json::array();
  for (const BaselineBlock& block : blocks) {
    native.push_back(block.edge_native_fps);
    ratios.push_back(block.remote_fps / block.edge_native_fps);
    rows.push_back({{"remote_fps", block.remote_fps},
                    {"edge_native_fps", block.edge_native_fps},
                    {"ratio", ratios.back()}});
  }
  json["edge_native_fps"] = median(native);
  json["remote_over_native"] = median(ratios);
  json["remote_over_native_spread"] = {{"min", std::ranges::min(ratios)},
                                       {"max", std::ranges::max(ratios)}};
  json["baseline_blocks"] = rows;
}

}  // namespace

std::string to_json(const Report& report) {
  const RunSummary& run = report.run;
  Json json = {{"frames", run.frames},
               {"switches", run.switches},
               {"frames_lost", run.lost},
               {"frames_duplicated", run.duplicated},
               {"frames_reordered", run.reordered},
               {"fallbacks", run.fallbacks}};
  json["takeover_ms"] = run.takeover_ms ? Json(*run.takeover_ms) : Json(nullptr);
  if (report.verify) {
    json["verified_frames"] = report.verify->frames;
    json["mismatched_frames"] = report.verify->mismatched_frames;
    json["mismatched_tensors"] = report.verify->mismatched_tensors;
  }
  json["tracker"] = to_json(report.tracker);
  if (report.compensation) json["compensation"] = to_json(*report.compensation);
  if (run.local) json["local"] = to_json(*run.local);
  if (run.remote) json["remote"] = to_json(*run.remote);
  if (run.local && run.remote && run.local->fps > 0)
    json["speedup"] = run.remote->fps / run.local->fps;
  if (!report.baseline.empty()) {
    add_baseline(json, report.baseline);
    if (run.remote)
      json["speedup_unheld"] = run.remote->fps / json["edge_native_fps"].get<double>();
  }
  json["device"] = {{"cpu_percent", run.cpu_percent},
                    {"cpu_limit_percent", report.device_cpu_limit_percent},
                    {"hold", report.hold},
                    {"model", report.device_model},
                    {"temperature", report.temperature_sensor}};
  json["inference_engine"] = report.inference_engine;
  json["model_sha256"] = report.model_sha256;
  json["wasm_engine"] = report.wasm_engine.empty() ? Json(nullptr) : Json(report.wasm_engine);
  json["edge_security"] = report.edge_security;
  json["started"] = report.started;
  return json.dump(2) + "\n";
}

aloft::Result<void> write_report(const Report& report, const std::filesystem::path& path) {
  std::ofstream file(path);
  file << to_json(report) << std::flush;
  if (!file) return aloft::fail(aloft::Errc::refused, "cannot write " + path.string());
  return {};
}

}  // namespace detect
