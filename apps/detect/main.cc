// aloft-detect: wires what the other files do. docs/demo.md says how to use it.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "device/sensors.h"
#include "edge_link.h"
#include "figure3.h"
#include "frames_csv.h"
#include "hold.h"
#include "model_check.h"
#include "native_baseline.h"
#include "options.h"
#include "recorder.h"
#include "report.h"
#include "run.h"
#include "source.h"
#include "status_line.h"
#include "summary.h"
#include <aloft/live_page.h>
#include <aloft/runtime.h>

namespace detect {
namespace {

using aloft::Result;

// Ctrl-C ends the run after the frames under way; their report is written. Nothing else can be told
// by a signal handler.
std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second Ctrl-C ends the process
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// The processes beside this one, started before it has threads and before it is held.
struct Children {
  std::optional<Recorder> recorder;
  std::optional<NativeBaseline> baseline;
};

Result<Children> start_children(const Options& options, const FrameSource& source) {
  Children children;
  // The page is the window.
  const Display display = options.page_port ? Display::headless : options.display;
  const Output output = choose_output(display, options.recording);
  if (output != Output::none) {
    auto recorder = Recorder::start({.window = output == Output::window,
                                     .video_file = options.out / "video.mp4",
                                     .frames_per_second = source.frames_per_second()},
                                    source.size());
    if (!recorder) return std::unexpected(recorder.error());
    children.recorder.emplace(*std::move(recorder));
  }
  if (options.baseline) {
    auto baseline = NativeBaseline::start(options.video, options.model,
                                          {.threads = options.inference_threads,
                                           .device = options.inference_device,
                                           .libraries = options.inference_libraries});
    if (!baseline) return std::unexpected(baseline.error());
    children.baseline.emplace(*std::move(baseline));
  }
  return children;
}

// Held, or why not. As an ordinary user the application runs all the same, and says so.
std::pair<std::optional<CpuHold>, std::string> hold(const Options& options, StatusLine& status) {
  if (options.device_cpu_percent == 100) return {std::nullopt, "not asked for"};
  auto applied = CpuHold::apply(options.device_cpu_percent);
  if (!applied) {
    status.message(applied.error().message);
    return {std::nullopt, applied.error().message};
  }
  std::string description = applied->description();
  return {std::optional(*std::move(applied)), std::move(description)};
}

Result<void> prepare(const Options& options) {
  if (options.verify && options.baseline) {
    return aloft::fail(aloft::Errc::invalid_argument, "--verify and --baseline exclude each other");
  }
  if (options.baseline && options.policy) {
    return aloft::fail(aloft::Errc::invalid_argument,
                       "--baseline measures blocks of frames that a policy would break up: use "
                       "--place with it");
  }
  if (!options.record_trace.empty() && options.baseline) {
    return aloft::fail(aloft::Errc::invalid_argument,
                       "--record-trace and --baseline exclude each other");
  }
  if (options.baseline && options.place == PlaceMode::switching &&
      options.switch_every < kBaselineBlock) {
    return aloft::fail(aloft::Errc::invalid_argument,
                       "--baseline measures blocks of " + std::to_string(kBaselineBlock) +
                           " frames: --switch-every must not be less");
  }
  std::error_code error;
  if (options.module && !std::filesystem::is_regular_file(*options.module, error)) {
    return aloft::fail(aloft::Errc::not_found, "no such module: " + options.module->string());
  }
  std::filesystem::create_directories(options.out, error);
  if (error)
    return aloft::fail(aloft::Errc::refused, "cannot make the folder " + options.out.string());
  return {};
}

Result<std::unique_ptr<aloft::LivePage>> serve_page(aloft::Runtime& runtime,
                                                    std::shared_ptr<aloft::Policy> policy,
                                                    const Options& options) {
  return aloft::LivePage::serve(
      runtime,
      {.policy = std::move(policy),
       .points = aloft::LivePoints::by_program,
       .title = "aloft-detect: " + std::filesystem::path(options.video).filename().string(),
       .unit = "frame",
       .port = *options.page_port});
}

Result<void> run_application(const Options& options) {
  if (auto prepared = prepare(options); !prepared) return prepared;
  auto source = open_source(options.video);
  if (!source) return std::unexpected(source.error());
  auto csv = FramesCsv::create(options.out / "frames.csv");
  if (!csv) return std::unexpected(csv.error());

  std::optional<TraceCsv> trace;
  if (!options.record_trace.empty()) {
    auto created = TraceCsv::create(options.record_trace);
    if (!created) return std::unexpected(created.error());
    trace.emplace(*std::move(created));
  }

  auto children = start_children(options, **source);
  if (!children) return std::unexpected(children.error());
  stop_on_signals();
  if (auto checked = check_model(options.model); !checked) return checked;

  Report report;
  report.started = now_utc();
  const std::uint64_t frames = options.frames != 0 ? options.frames : (*source)->length();
  StatusLine status(frames);
  const std::shared_ptr<aloft::Policy> policy = policy_of(options);
  auto runtime = make_runtime(options, policy, status);
  if (!runtime) return std::unexpected(runtime.error());
  std::unique_ptr<aloft::LivePage> page;
  if (options.page_port) {
    auto served = serve_page(**runtime, policy, options);
    if (!served) return std::unexpected(served.error());
    page = *std::move(served);
    status.message("live page: " + page->url());
  }
  if (auto connected = connect(**runtime, options, status); !connected) return connected;

  auto [held, how] = hold(options, status);
  aloft::device::Sensors sensors;
  auto outcome = run(options, frames,
                     {.source = **source,
                      .csv = *csv,
                      .status = status,
                      .sensors = sensors,
                      .recorder = children->recorder ? &*children->recorder : nullptr,
                      .baseline = children->baseline ? &*children->baseline : nullptr,
                      .trace = trace ? &*trace : nullptr,
                      .page = page.get(),
                      .stop = stop_requested});
  if (!outcome) return std::unexpected(outcome.error());

  const auto temperature = aloft::device::Sensors::processor_temperature(sensors.sample());
  report.run = summarize(outcome->rows);
  report.baseline = std::move(outcome->baseline);
  report.verify = outcome->verify;
  report.tracker = std::move(outcome->tracker);
  report.compensation = outcome->compensation;
  report.device_model = aloft::device::processor_model();
  report.device_cpu_limit_percent = held ? options.device_cpu_percent : 100;
  report.hold = std::move(how);
  report.inference_engine = (*runtime)->inference_engine();
  report.model_sha256 = (*runtime)->model_sha256(kDetectorGraph);
  report.wasm_engine = (*runtime)->wasm_engine();
  report.edge_security = edge_security(options);
  report.temperature_sensor = temperature ? temperature->sensor : "no sensor";

  page.reset();
  held.reset();  // what follows is not the device's work
  runtime->reset();
  if (auto written = write_report(report, options.out / "report.json"); !written) return written;
  if (children->recorder) {
    if (auto finished = children->recorder->finish(); !finished)
      status.message(finished.error().message);
  }
  if (auto drawn = draw_figure3(outcome->rows, options.out, report.edge_security); !drawn) {
    status.message("no figure3.png: " + drawn.error().message);
  }
  status.message(summary(report, options.out));
  return {};
}

}  // namespace
}  // namespace detect

int main(int argc, char** argv) {
  const detect::ParsedOptions parsed = detect::parse_options(argc, argv);
  if (!parsed.options) return parsed.exit_code;
  if (const auto done = detect::run_application(*parsed.options); !done) {
    std::fprintf(stderr, "error: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}
