#include "edge_link.h"

#include <chrono>
#include <utility>

namespace detect {
namespace {

using namespace std::chrono_literals;
using aloft::Errc;
using aloft::Result;

constexpr auto kSignOfLife = 3000ms;  // for the first byte of the edge
constexpr auto kReady = 20s;  // then, for the model to arrive there and the module to be compiled

std::shared_ptr<aloft::Policy> policy(const Options& options) {
  switch (options.place) {
    case PlaceMode::local: return aloft::local_policy();
    case PlaceMode::remote: return aloft::remote_policy();
    case PlaceMode::switching: return aloft::every_policy(options.switch_every);
  }
  return aloft::local_policy();
}

}  // namespace

Result<std::unique_ptr<aloft::Runtime>> make_runtime(const Options& options, StatusLine& status) {
  aloft::RuntimeOptions wanted;
  // Nothing is sent where nothing is to run at the edge.
  if (!options.edge.empty() && (options.place != PlaceMode::local || options.verify))
    wanted.edges = {options.edge};
  wanted.models.emplace(kDetectorGraph, options.model);
  if (options.module) wanted.modules.emplace("detect", *options.module);
  wanted.policy = policy(options);
  wanted.inference_threads = options.inference_threads;
  wanted.max_in_flight = options.in_flight;
  wanted.digest_tensors = options.verify;
  wanted.log = [&status](aloft::LogLevel level, std::string_view line) {
    status.message(std::string(to_string(level)) + ": " + std::string(line));
  };
  auto runtime = aloft::Runtime::create(std::move(wanted));
  if (runtime) aloft::bind(**runtime);
  return runtime;
}

Result<void> connect(aloft::Runtime& runtime, const Options& options, StatusLine& status) {
  const bool needed = options.place == PlaceMode::remote || options.verify;
  if (options.edge.empty() || (options.place == PlaceMode::local && !needed)) return {};
  auto ready = runtime.wait_for_edge(kSignOfLife);
  const bool answers = runtime.link_bytes().rx > 0;
  if (!ready && ready.error().code == Errc::unreachable && answers)
    ready = runtime.wait_for_edge(kReady);
  if (ready) return {};
  if (needed || ready.error().code != Errc::unreachable) {
    return aloft::fail(ready.error().code,
                       "the edge " + options.edge + ": " + ready.error().message);
  }
  status.message("no edge at " + options.edge + " (" + ready.error().message +
                 "): everything runs on the device until there is one");
  return {};
}

std::string edge_security(std::string_view edge) {
  if (edge.empty()) return "";
  const bool loopback =
      edge.starts_with("127.") || edge.starts_with("localhost:") || edge.starts_with("[::1]:");
  return loopback
             ? "loopback"
             : "insecure: frames cross the network in clear, and neither side proves who it is";
}

}  // namespace detect
