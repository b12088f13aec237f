// The application's loop: decode -> detect_object -> Tracker::update -> draw_boxes -> display, with
// up to K frames under way.
//
// detect_object is called as any function; where it runs is the policy's business. Results come in
// the order of the frames, whatever order they were computed in.
#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "compensation.h"
#include "device/sensors.h"
#include "frames_csv.h"
#include "measurements.h"
#include "native_baseline.h"
#include "options.h"
#include "recorder.h"
#include "report.h"
#include "source.h"
#include "status_line.h"
#include "trace_csv.h"
#include "tracking.h"
#include <aloft/live_page.h>
#include <aloft/result.h>

namespace detect {

// What the loop works with; all borrowed.
struct RunParts {
  FrameSource& source;
  FramesCsv& csv;
  StatusLine& status;
  aloft::device::Sensors& sensors;
  Recorder* recorder = nullptr;        // null: frames are not shown
  NativeBaseline* baseline = nullptr;  // null: not measured
  TraceCsv* trace = nullptr;           // null: not recorded
  aloft::LivePage* page = nullptr;     // null: none
  const std::atomic<bool>& stop;       // ends the run after the frames under way
};

struct RunOutcome {
  std::vector<FrameRow> rows;
  std::vector<BaselineBlock> baseline;
  std::optional<VerifyOutcome> verify;
  TrackerMoves tracker;
  std::optional<CompensationReport> compensation;  // with Options::compensate
};

// Runs `frames` frames (0: until stopped). Errors: what the source, the function or a file says;
// what was measured until then is in frames.csv.
[[nodiscard]] aloft::Result<RunOutcome> run(const Options& options, std::uint64_t frames,
                                            const RunParts& parts);

}  // namespace detect
