// The device side of aloft in one object: where the edge is, which models the modules use, who
// decides where calls go.
//
//   auto runtime = aloft::Runtime::create({.edges = {"10.0.0.7:7411"},
//                                          .models = {{"detector", "yolov8n.onnx"}}});
//   aloft::bind(**runtime);  // elastic functions ask this runtime from now on; unbound, they run
//                            // here
//
// Nothing here is global but the one binding. Thread rule: all methods may be called from any
// thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/call_record.h>
#include <aloft/function_settings.h>
#include <aloft/nn.h>
#include <aloft/place.h>
#include <aloft/policy.h>
#include <aloft/result.h>

namespace aloft {

namespace device {
class ClusterClient;
}

enum class LogLevel : std::uint8_t { debug, info, warning, error };

[[nodiscard]] constexpr std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
  }
  return "unknown";
}

struct RuntimeOptions {
  // HOST:PORT of each, at most 64; none: everything runs here. A call goes to the first that is
  // ready, and from one that fails it to the next.
  std::vector<std::string> edges;
  // In place of edges: a cluster (aloft/cluster.h), which gives this device one host after the
  // other. The runtime then has two edges, 0 and 1, that take turns: the session is at one of them,
  // and the other one is used when it moves, so that nothing stops. Asked for, either means where
  // the session is now; reported (CallRecord, MoveReport), they tell one placement from the next.
  std::shared_ptr<device::ClusterClient> cluster;
  // TLS to the edges, PEM files: whose certificates are trusted (empty: no TLS, all is in clear),
  // and what this device shows where an edge asks for it.
  std::filesystem::path tls_authority;
  std::filesystem::path tls_certificate;
  std::filesystem::path tls_key;
  std::map<std::string, std::filesystem::path> models;  // aloft::nn::Graph name -> ONNX file
  // Module name -> .wasm file whose digest is asked for at the edge in place of the one built with
  // this program.
  std::map<std::string, std::filesystem::path> modules;
  std::shared_ptr<Policy> policy;  // default: local_policy()
  PredictionOptions prediction{};  // for policies that need forecasts
  // Where the kernel tells of the device (temperatures, battery, load): another folder where they
  // are mounted elsewhere.
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  // By qualified name ("demo::detect_object"), of functions that are part of this program.
  std::map<std::string, FunctionSettings> functions;
  int inference_threads = 1;                      // of one inference here
  nn::Device inference_device = nn::Device::cpu;  // of inferences here
  // Folder of a GPU build of the engine with its provider libraries; empty: beside the one in use.
  std::filesystem::path inference_libraries;
  int local_workers = 1;          // threads for asynchronous calls that run here
  std::size_t max_in_flight = 4;  // calls at one edge at a time, of a module; further ones wait
  std::size_t max_waiting = 64;   // calls that wait there; further ones fail it with `overloaded`
  // Asynchronous calls that have not ended, wherever they are; further ones end with `overloaded`.
  std::size_t max_calls = 1024;
  std::chrono::milliseconds call_timeout{5000};  // an edge that takes longer has failed the call
  // A thread that waits for an edge looks for its answer for so long before it sleeps, where
  // answers mostly come that soon: it spends processor time to be spared the time of waking up. 0:
  // it sleeps at once.
  std::chrono::microseconds spin{100};
  bool digest_tensors = false;
  // Lets `aloft explain`, run by the same user on this machine, ask for the last decisions and what
  // they rested on.
  bool explain = false;
  // Called once for each call, before its result can be taken: for calls in the synchronous form on
  // the caller's thread, for others on a thread of the runtime, or on one that waits in
  // Future::get(). Must not block; must neither bind, unbind nor destroy the runtime.
  std::function<void(const CallRecord&)> on_call;
  // Guest output, traps, edge up and down, decisions (debug). From any thread, several at once;
  // must not block. Default: spdlog, to standard error.
  std::function<void(LogLevel level, std::string_view line)> log;
  LogLevel log_level = LogLevel::info;  // what is below it is not logged (and costs nothing)
};

struct UpgradeOptions {
  // For the edges to open the new version, and for objects and channels to follow, each.
  std::chrono::milliseconds timeout{30'000};
  // Fallback::none: calls of the module that no edge could do do not run here from now on, where
  // they would be run by the version that is part of this program.
  Fallback fallback = Fallback::here;
};

// How an upgrade went.
struct UpgradeReport {
  std::size_t edges = 0;            // have the new version open
  std::size_t carried = 0;          // objects and channels at edges that go on with it
  std::chrono::nanoseconds took{};  // until all calls went to it
};

class Runtime {
 public:
  // Loads the models into the local engine at once (so that a takeover never waits for it), and
  // starts connecting to the edge, where it opens the modules that are part of this program.
  // Errors: invalid_argument (an address or a number that cannot be), not_found (no such model or
  // module file), and what the inference engine says of a model. An edge that is not there is no
  // error here: see wait_for_edge.
  [[nodiscard]] static Result<std::unique_ptr<Runtime>> create(RuntimeOptions options);
  // Unbinds this runtime and waits for what is in flight: synchronous calls finish, asynchronous
  // ones are ended and answer `cancelled`. Not from within an elastic call.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Waits until this edge (an index in RuntimeOptions::edges; with a cluster, any) has opened every
  // module, or says why not: the edge's own reason at once when it refuses one (not_found,
  // signature_mismatch, corrupt,
  // ...) or speaks another protocol or version; unreachable after `timeout`. invalid_argument
  // without such an edge.
  [[nodiscard]] Result<void> wait_for_edge(std::chrono::milliseconds timeout, std::size_t edge);
  // Waits until any edge has. The reason is the first edge's: at once when every edge has one that
  // does not pass by waiting, else after `timeout`.
  [[nodiscard]] Result<void> wait_for_edge(std::chrono::milliseconds timeout);
  // Any edge is connected, and has opened every module. Changes at any time.
  [[nodiscard]] bool edge_ready() const;
  // This one is.
  [[nodiscard]] bool edge_ready(std::size_t edge) const;
  [[nodiscard]] std::size_t edge_count() const;

  // For reports. "wasmtime 48.0.2" as this edge said it last; empty before.
  [[nodiscard]] std::string wasm_engine(std::size_t edge = 0) const;
  // "onnxruntime 1.23.2, CPU, 1 thread": the one here; empty without models.
  [[nodiscard]] std::string inference_engine() const;
  // The same of this edge; empty before it said so.
  [[nodiscard]] std::string edge_inference_engine(std::size_t edge = 0) const;
  // 64 hex digits; empty when there is no such model.
  [[nodiscard]] std::string model_sha256(std::string_view graph_name) const;

  // What went over the links since the runtime was made, reconnects, heartbeats and models
  // included: of all edges, or of one.
  struct LinkBytes {
    std::uint64_t tx = 0;
    std::uint64_t rx = 0;
  };
  [[nodiscard]] LinkBytes link_bytes() const;
  [[nodiscard]] LinkBytes link_bytes(std::size_t edge) const;

  // The last decisions, oldest first: at most kDecisionsKept. One that is being replaced by a newer
  // one while this reads is left out.
  [[nodiscard]] std::vector<DecisionRecord> recent_decisions() const;
  static constexpr std::size_t kDecisionsKept = 128;

  // Hot upgrade: from some call on, each edge runs the version of this module that is in `file`, a
  // .wasm that its repository has; calls that are under way end at the version before, which is
  // closed then. An elastic object or channel that is at an edge goes on with the new version
  // between two of its calls, state included. Nothing changes here, in this process: what runs
  // here is always the version that was compiled into the program. So all versions of a module
  // have functions of the same types and objects of the same state, as edges check; what they
  // compute may differ, and a caller that cares where asks for Fallback::none.
  //
  // Blocks until calls go to the new version, or have stayed with the old one: a version that is
  // not there, is refused, or traps as it is loaded or takes a state leaves the one before serving.
  // An edge that is not connected now takes the new version when it is. With the version that is
  // asked for already, nothing but the fallback changes. Errors: invalid_argument
  // (no such module), not_found (no such file, or an edge has no module of this digest; or it lacks
  // a function or class), signature_mismatch (a function has other types, an object another state),
  // unreachable (no edge is connected), deadline_exceeded, and what else an edge says of it.
  [[nodiscard]] Result<UpgradeReport> upgrade(std::string_view module,
                                              const std::filesystem::path& file,
                                              const UpgradeOptions& options = {});
  // "sha256:..." of the version of this module that edges are asked for; empty: no such module.
  [[nodiscard]] std::string module_digest(std::string_view module) const;

  // From now on the policy is this one (null: local_policy()). One that was replaced lives as long
  // as the runtime, so that deciding takes no lock.
  void set_policy(std::shared_ptr<Policy> policy);

  class Impl;

 private:
  friend void bind(Runtime& runtime);
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// While it lives, elastic calls made by this thread go to `place` (Place::edge: the first that is
// ready), whatever the policy says. Scopes nest; the innermost counts. A call still goes on from an
// edge that fails it: CallRecord says so.
//
//   const auto here = [&] { const aloft::PlaceScope scope(aloft::Place::here); return
//   detect_object(frame); }();
class PlaceScope {
 public:
  explicit PlaceScope(Place place);
  explicit PlaceScope(Location location);
  ~PlaceScope();
  PlaceScope(const PlaceScope&) = delete;
  PlaceScope& operator=(const PlaceScope&) = delete;

 private:
  std::optional<Location> outer_;
};

// Elastic functions dispatch through `runtime` until it is destroyed, another one is bound, or
// unbind() is called. Both wait for the synchronous calls that go through the runtime bound before,
// and bring the states of elastic objects that are elsewhere into this process. Not from within an
// elastic call; and not while another thread calls a method of such an object.
void bind(Runtime& runtime);
void unbind();

}  // namespace aloft
