// report.json: what a run came to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compensation.h"
#include "measurements.h"
#include "tracking.h"
#include <aloft/result.h>

namespace detect {

// One block of the baseline: the same number of frames, remote and natively at the edge's machine,
// one after the other.
struct BaselineBlock {
  double remote_fps = 0;
  double edge_native_fps = 0;
};

struct VerifyOutcome {
  std::uint64_t frames = 0;              // computed in both places
  std::uint64_t mismatched_frames = 0;   // whose detections differ in any bit
  std::uint64_t mismatched_tensors = 0;  // whose inputs to the inference engine differ in any bit
};

struct Report {
  RunSummary run;
  std::vector<BaselineBlock> baseline;  // empty: not measured
  std::optional<VerifyOutcome> verify;
  TrackerMoves tracker;
  std::optional<CompensationReport> compensation;  // absent: not asked for
  std::string device_model;                        // the processor's name
  int device_cpu_limit_percent = 100;              // of one core; 100: not held
  std::string hold;                                // how, or why not
  std::string inference_engine;
  std::string model_sha256;
  std::string wasm_engine;         // empty: no edge was reached
  std::string edge_security;       // "insecure: ..." or "loopback"
  std::string temperature_sensor;  // its name, or "no sensor"
  std::string started;             // ISO 8601, UTC
};

[[nodiscard]] std::string to_json(const Report& report);
[[nodiscard]] aloft::Result<void> write_report(const Report& report,
                                               const std::filesystem::path& path);

}  // namespace detect
