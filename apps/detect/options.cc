#include "options.h"

#include <charconv>
#include <iostream>
#include <map>

#include <CLI/CLI.hpp>

#include "recall.h"

namespace detect {
namespace {

const std::map<std::string, aloft::nn::Device> kDevices{{"cpu", aloft::nn::Device::cpu},
                                                        {"cuda", aloft::nn::Device::cuda},
                                                        {"auto", aloft::nn::Device::automatic}};

// "raw", "auto", "jpeg" or "jpeg:QUALITY"; empty when it is one of these, else what is wrong.
std::string read_codec(const std::string& text, aloft::ImageCodec& codec) {
  constexpr int kQuality = 90;
  constexpr double kLeastRecall = 0.97;
  constexpr std::string_view kJpeg = "jpeg:";
  if (text == "raw") {
    codec = aloft::ImageCodec::raw();
  } else if (text == "auto") {
    codec = aloft::ImageCodec::automatic(missed, 1 - kLeastRecall);
  } else if (text == "jpeg") {
    codec = aloft::ImageCodec::jpeg(kQuality);
  } else {
    int quality = 0;
    const char* const end = text.data() + text.size();
    if (!text.starts_with(kJpeg) ||
        std::from_chars(text.data() + kJpeg.size(), end, quality) !=
            std::from_chars_result{end, std::errc()} ||
        quality < 1 || quality > 100)
      return "'" + text +
             "' is no codec: say raw, auto, or jpeg:QUALITY with a QUALITY of 1 to 100";
    codec = aloft::ImageCodec::jpeg(quality);
  }
  return {};
}

}  // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
  Options options;
  CLI::App app{
      "Detects objects in a video while the detection hops between this device and an edge host."};
  app.name("aloft-detect");
  app.get_formatter()->column_width(34);

  app.add_option("--video", options.video, "FILE, camera:N or scene (a generated one)")->required();
  app.add_option("--model", options.model,
                 "YOLOv8 or YOLO11 as ONNX: 1x3x640x640 in, 1x84x8400 out")
      ->required();
  app.add_option("--module", options.module,
                 "WebAssembly module to use in place of the one built with this program");
  app.add_option("--frames", options.frames,
                 "frames to process; a shorter video starts again (0: one pass)");
  app.add_option("--switch-every", options.switch_every, "frames between two hops")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->capture_default_str();
  const std::map<std::string, PlaceMode> places{
      {"local", PlaceMode::local}, {"remote", PlaceMode::remote}, {"switch", PlaceMode::switching}};
  CLI::Option* const place =
      app.add_option("--place", options.place, "local, remote or switch (default)")
          ->transform(CLI::CheckedTransformer(places).description(""))
          ->type_name("PLACE");
  app.add_option_function<std::string>(
         "--policy",
         [&options](const std::string& text) {
           auto made = aloft::policy_by_name(text);
           if (!made) throw CLI::ValidationError("--policy", made.error().message);
           options.policy = *std::move(made);
         },
         "in place of --place: min_latency, deadline:MS, cool:CELSIUS, min_energy, every:FRAMES, "
         "...; docs/policies.md")
      ->type_name("NAME[:ARG]")
      ->excludes(place);
  app.add_option("--edge", options.edge, "HOST:PORT of an aloft-exec");
  CLI::Option* const cluster =
      app.add_option(
             "--cluster", options.cluster,
             "HOST:PORT of an aloft-manager, or several with commas between, or auto: those "
             "that the network announces (DNS-SD)")
          ->excludes("--edge");
  app.add_option("--cluster-ca", options.cluster_ca,
                 "PEM file of the cluster's authority (default: the system's authorities)")
      ->check(CLI::ExistingFile)
      ->needs(cluster);
  CLI::Option* const certificate =
      app.add_option("--cluster-cert", options.cluster_certificate,
                     "PEM file of this device's certificate for the cluster")
          ->check(CLI::ExistingFile)
          ->needs(cluster);
  CLI::Option* const key =
      app.add_option("--cluster-key", options.cluster_key, "PEM file of its private key")
          ->check(CLI::ExistingFile)
          ->needs(certificate);
  certificate->needs(key);
  app.add_option("--cluster-token", options.cluster_token,
                 "file with a token (JWT), in place of a certificate")
      ->check(CLI::ExistingFile)
      ->needs(cluster)
      ->excludes(certificate);
  app.add_option("--device-cpu", options.device_cpu_percent,
                 "hold this process to PERCENT of one core (needs root; 100: not held)")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--inference-threads", options.inference_threads, "threads of one inference")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--inference-device", options.inference_device,
                 "what inferences run on here, and those of --baseline: cpu, cuda, or auto: cuda "
                 "where it can be used")
      ->transform(CLI::CheckedTransformer(kDevices))
      ->option_text("{cpu,cuda,auto}");
  app.add_option("--inference-libraries", options.inference_libraries,
                 "folder of a GPU build of ONNX Runtime (default: beside the one in use)")
      ->check(CLI::ExistingDirectory);
  app.add_option("--in-flight", options.in_flight, "frames under way at a time")
      ->check(CLI::Range(1U, 64U))
      ->capture_default_str();
  app.add_flag("--compensate", options.compensate,
               "show the newest frame, with the boxes of the newest result carried forward to it");
  app.add_option("--record-trace", options.record_trace,
                 "compute every frame in both places, and write to FILE what each took");
  app.add_option_function<std::string>(
         "--codec",
         [&](const std::string& text) {
           if (const std::string wrong = read_codec(text, options.codec); !wrong.empty())
             throw CLI::ValidationError("--codec", wrong);
         },
         "how frames go to the edge: raw (default), jpeg:QUALITY, which is lossy, or auto: what is "
         "fastest with a recall of 0.97")
      ->type_name("CODEC");
  app.add_flag("--baseline", options.baseline,
               "also measure the native function in a child that is not held");
  app.add_flag("--verify", options.verify, "compute every frame in both places and compare");
  app.add_flag_callback(
      "--page", [&options] { options.page_port = options.page_port.value_or(0); },
      "serve a live page, at an address that is printed: picture, curves, decisions, and buttons "
      "that move the execution");
  app.add_option_function<std::uint16_t>(
         "--page-port", [&options](std::uint16_t port) { options.page_port = port; },
         "the same, at this port of 127.0.0.1 (0: a free one)")
      ->type_name("PORT");
  bool headless = false;
  bool no_record = false;
  app.add_flag("--headless", headless, "no window, even where there is a screen");
  app.add_flag("--no-record", no_record, "no video file of the enriched frames");
  app.add_option("--out", options.out, "folder for frames.csv, report.json, figure3.png")
      ->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return {.options = std::nullopt, .exit_code = app.exit(help)};
  } catch (const CLI::ParseError& error) {
    std::cerr << "error: " << error.what() << " (see --help)\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  if (!options.cluster.empty() && options.cluster_certificate.empty() &&
      options.cluster_token.empty()) {
    std::cerr << "error: --cluster needs to know who this device is: give --cluster-cert and "
                 "--cluster-key, or --cluster-token\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  options.display = headless ? Display::headless : Display::automatic;
  options.recording = no_record ? Recording::off : Recording::automatic;
  if (!options.has_edge() && options.place == PlaceMode::remote) {
    std::cerr
        << "error: --place remote needs an edge: give --edge HOST:PORT of a running aloft-exec, or "
           "--cluster\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  const bool is_lossy =
      options.codec.is_automatic() || options.codec.coding.format != aloft::ImageFormat::raw;
  if (options.verify && is_lossy) {
    std::cerr << "error: --verify compares bit for bit, which a lossy --codec does not keep: leave "
                 "one of them out\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  if (options.page_port && (options.baseline || options.verify || !options.record_trace.empty())) {
    std::cerr
        << "error: --baseline, --verify and --record-trace say themselves where each frame is "
           "computed, which the buttons of --page could not change: leave one of them out\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  if (!options.has_edge() &&
      (options.baseline || options.verify || !options.record_trace.empty())) {
    std::cerr << "error: --baseline, --verify and --record-trace compare with an edge: give --edge "
                 "HOST:PORT of a "
                 "running aloft-exec, or --cluster\n";
    return {.options = std::nullopt, .exit_code = 2};
  }
  return {.options = std::move(options), .exit_code = 0};
}

}  // namespace detect
