#include "summary.h"

#include <cstdio>

namespace detect {
namespace {

std::string decimal(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string describe(const char* where, const PlaceSummary& place) {
  return std::string(where) + decimal(place.fps, 1) + " frames/s, " +
         decimal(place.latency_ms.p50, 0) + " ms (p50), " + decimal(place.cpu_ms_per_frame, 1) +
         " ms of the device's processor a frame, " + std::to_string(place.frames) + " frames";
}

}  // namespace

std::string summary(const Report& report, const std::filesystem::path& folder) {
  const RunSummary& run = report.run;
  std::string text = std::to_string(run.frames) + " frames, " + std::to_string(run.switches) +
                     " switches, " + std::to_string(run.lost) + " lost, " +
                     std::to_string(run.fallbacks) + " fallbacks";
  if (run.local) text += describe("\n  on the device: ", *run.local);
  if (run.remote) text += describe("\n  at the edge:   ", *run.remote);
  if (run.local && run.remote && run.local->fps > 0) {
    text +=
        "\n  the edge makes it " + decimal(run.remote->fps / run.local->fps, 2) + " times as fast";
    if (report.device_cpu_limit_percent < 100) {
      text += ", the device being held to " + std::to_string(report.device_cpu_limit_percent) +
              " % of a core";
    }
  }
  if (report.tracker.moves > 0) {
    const TrackerMoves& tracker = report.tracker;
    text += "\n  the tracker, " + std::to_string(tracker.identities) + " identities, moved " +
            std::to_string(tracker.moves) +
            " times: " + decimal(percentile(tracker.blackout_ms, 0.5), 1) +
            " ms without an answer (p50)";
  }
  if (report.compensation && report.compensation->boxes > 0) {
    const CompensationReport& compensation = *report.compensation;
    text += "\n  results " + decimal(compensation.age_frames, 1) +
            " frames old, their boxes off by " +
            decimal(compensation.as_they_were.centre_pixels, 1) + " pixels, carried forward by " +
            decimal(compensation.carried.centre_pixels, 1) + " (1 - IoU " +
            decimal(compensation.as_they_were.not_covered, 3) + " and " +
            decimal(compensation.carried.not_covered, 3) + ")";
  }
  if (run.takeover_ms)
    text += "\n  lost edge to local execution: " + decimal(*run.takeover_ms, 0) + " ms";
  if (report.verify) {
    text += "\n  verified " + std::to_string(report.verify->frames) +
            " frames: " + std::to_string(report.verify->mismatched_frames) + " frames and " +
            std::to_string(report.verify->mismatched_tensors) + " tensors differ";
  }
  return text + "\n  see " + (folder / "report.json").string();
}

}  // namespace detect
