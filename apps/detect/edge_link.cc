#include "edge_link.h"

#include <chrono>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include <aloft/cluster.h>

namespace detect {
namespace {

using namespace std::chrono_literals;
using aloft::Errc;
using aloft::Result;

constexpr auto kSignOfLife = 3000ms;  // for the first byte of the edge
constexpr auto kPlaced = 10s;         // for a cluster to be found, and to give a host
constexpr auto kReady = 20s;  // then, for the model to arrive there and the module to be compiled

Result<std::string> text_of(const std::filesystem::path& file) {
  if (file.empty()) return std::string();
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) return aloft::fail(Errc::not_found, "cannot read " + file.string());
  return text.str();
}

std::vector<std::string> managers_of(const std::string& list) {
  constexpr std::string_view kScheme = "https://";
  std::vector<std::string> managers;
  std::istringstream stream(list);
  for (std::string one; std::getline(stream, one, ',');) {
    if (one.starts_with(kScheme)) one.erase(0, kScheme.size());
    while (one.ends_with('/')) one.pop_back();
    if (!one.empty()) managers.push_back(std::move(one));
  }
  return managers;
}

Result<std::shared_ptr<aloft::device::ClusterClient>> join(const Options& options) {
  aloft::ClusterOptions wanted;
  // A processor for each thread of the inference, and half of one for the frames on their way.
  wanted.cpu_millicores = static_cast<std::uint32_t>(1000 * options.inference_threads + 500);
  if (options.cluster == "auto") {
    wanted.sources = {aloft::dns_sd_source(), aloft::multicast_dns_sd_source()};
  } else {
    wanted.managers = managers_of(options.cluster);
  }
  const std::pair<const std::filesystem::path*, std::string*> texts[] = {
      {&options.cluster_ca, &wanted.authority},
      {&options.cluster_certificate, &wanted.certificate},
      {&options.cluster_key, &wanted.key},
      {&options.cluster_token, &wanted.token}};
  for (const auto& [file, text] : texts) {
    auto read = text_of(*file);
    if (!read) return std::unexpected(std::move(read.error()));
    *text = *std::move(read);
  }
  while (wanted.token.ends_with('\n') || wanted.token.ends_with('\r')) wanted.token.pop_back();
  return aloft::join_cluster(std::move(wanted));
}

}  // namespace

std::shared_ptr<aloft::Policy> policy_of(const Options& options) {
  if (options.policy) return options.policy;
  switch (options.place) {
    case PlaceMode::local: return aloft::local_policy();
    case PlaceMode::remote: return aloft::remote_policy();
    case PlaceMode::switching: return aloft::every_policy(options.switch_every);
  }
  return aloft::local_policy();
}

Result<std::unique_ptr<aloft::Runtime>> make_runtime(const Options& options,
                                                     std::shared_ptr<aloft::Policy> policy,
                                                     StatusLine& status) {
  aloft::RuntimeOptions wanted;
  // Nothing is sent where nothing is to run at the edge, whoever may ask for it.
  const bool anyway = options.verify || !options.record_trace.empty() || options.page_port;
  if (options.has_edge() && (options.place != PlaceMode::local || anyway)) {
    if (options.cluster.empty()) {
      wanted.edges = {options.edge};
    } else {
      auto cluster = join(options);
      if (!cluster) return std::unexpected(std::move(cluster.error()));
      wanted.cluster = *std::move(cluster);
    }
  }
  wanted.models.emplace(kDetectorGraph, options.model);
  if (options.module) wanted.modules.emplace("detect", *options.module);
  wanted.policy = std::move(policy);
  wanted.explain = true;
  wanted.functions["detect::detect_object"].images = options.codec;
  wanted.inference_threads = options.inference_threads;
  wanted.inference_device = options.inference_device;
  wanted.inference_libraries = options.inference_libraries;
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
  const bool needed =
      options.place == PlaceMode::remote || options.verify || !options.record_trace.empty();
  if (!options.has_edge() || (options.place == PlaceMode::local && !needed)) return {};
  auto ready = runtime.wait_for_edge(options.cluster.empty() ? kSignOfLife : kPlaced);
  const bool answers = runtime.link_bytes().rx > 0;
  if (!ready && ready.error().code == Errc::unreachable && answers)
    ready = runtime.wait_for_edge(kReady);
  if (ready) return {};
  if (needed || ready.error().code != Errc::unreachable) {
    return aloft::fail(ready.error().code,
                       "the " + options.edge_name() + ": " + ready.error().message);
  }
  status.message("no " + options.edge_name() + " (" + ready.error().message +
                 "): everything runs on the device until there is one");
  return {};
}

std::string edge_security(const Options& options) {
  if (!options.cluster.empty()) return "TLS 1.3, and a ticket of the cluster for this device's key";
  const std::string_view edge = options.edge;
  if (edge.empty()) return "";
  const bool loopback =
      edge.starts_with("127.") || edge.starts_with("localhost:") || edge.starts_with("[::1]:");
  return loopback
             ? "loopback"
             : "insecure: frames cross the network in clear, and neither side proves who it is";
}

}  // namespace detect
