// The application's command line, which is also what `./dev demo -- ...` passes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <aloft/image_codec.h>
#include <aloft/nn.h>
#include <aloft/policy.h>
#include <aloft/result.h>

namespace detect {

enum class PlaceMode : std::uint8_t { local, remote, switching };
enum class Display : std::uint8_t {
  automatic,
  headless
};  // automatic: a window where there is a screen
enum class Recording : std::uint8_t {
  automatic,
  off
};  // automatic: a video file where there is no window

struct Options {
  std::string video;                            // file, "camera:N" or "scene"
  std::filesystem::path model;                  // ONNX
  std::optional<std::filesystem::path> module;  // .wasm in place of the one built with the program
  std::uint64_t frames = 0;                     // 0: as many as the video has
  std::uint64_t switch_every = 50;              // frames
  PlaceMode place = PlaceMode::switching;
  std::shared_ptr<aloft::Policy> policy;  // in place of `place`; null: none
  std::string edge;                       // HOST:PORT, empty: none
  // In its place: managers of a cluster, HOST:PORT with commas between, or "auto".
  std::string cluster;
  std::filesystem::path cluster_ca;           // PEM; empty: the system's authorities
  std::filesystem::path cluster_certificate;  // PEM, with its key; or a token
  std::filesystem::path cluster_key;
  std::filesystem::path cluster_token;  // file
  int device_cpu_percent = 30;          // of one core; 100: not held
  int inference_threads = 1;
  aloft::nn::Device inference_device = aloft::nn::Device::cpu;
  std::filesystem::path inference_libraries;
  std::uint32_t in_flight = 1;  // frames
  bool compensate = false;
  std::filesystem::path record_trace;        // empty: none
  std::optional<std::uint16_t> page_port{};  // of the live page, 0: a free one; absent: no page
  aloft::ImageCodec codec{};                 // of frames on their way to the edge
  bool baseline = false;
  bool verify = false;
  Display display = Display::automatic;
  Recording recording = Recording::automatic;
  std::filesystem::path out = "aloft-out";

  [[nodiscard]] bool has_edge() const { return !edge.empty() || !cluster.empty(); }
  // For people.
  [[nodiscard]] std::string edge_name() const {
    return cluster.empty() ? "edge " + edge : "cluster " + cluster;
  }
};

// Outcome of reading the command line: options to run with, or an exit code when --help or a usage
// error was answered on the terminal already.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_code = 0;
};
[[nodiscard]] ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace detect
