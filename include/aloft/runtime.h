// The device side of aloft in one object: where the edge is, which models the modules use, who
// decides where calls go.
//
//   auto runtime = aloft::Runtime::create({.edge = "10.0.0.7:7411", .models = {{"detector",
//   "yolov8n.onnx"}}}); aloft::bind(**runtime);          // elastic functions ask this runtime from
//   now on; unbound, they run here
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

#include <aloft/policy.h>
#include <aloft/result.h>

namespace aloft {

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

// What happened to one call, told when its result is there.
struct CallRecord {
  std::uint64_t number =
      0;  // rising over the calls of this runtime, from 0, in the order they were made
  std::string_view function;          // qualified name
  Place place = Place::here;          // where the result was computed in the end
  Reason reason;                      // the decision's reason
  bool fell_back = false;             // decided for the edge, computed here because the edge failed
  std::optional<Error> remote_error;  // why it fell back
  std::optional<Error>
      error;  // the call has no result: the function aborted, or the call was cancelled
  std::chrono::nanoseconds latency{};   // call to result
  std::chrono::nanoseconds edge_run{};  // at the edge: guest time, inference included; 0 when here
  std::chrono::nanoseconds edge_queue{};
  std::chrono::nanoseconds edge_inference{};
  std::uint64_t tx_bytes =
      0;  // on the wire for this call, frame headers included; also of an attempt that failed
  std::uint64_t rx_bytes = 0;
  std::vector<std::string>
      tensor_digests;  // SHA-256 of each input tensor, with RuntimeOptions::digest_tensors
  // Of the first call that ran here because the edge was lost: last sign of life of the edge ->
  // start of local execution.
  std::optional<std::chrono::nanoseconds> takeover;
};

struct RuntimeOptions {
  std::string edge;  // HOST:PORT; empty: no edge, everything runs here
  // TLS to the edge, PEM files: whose certificates are trusted (empty: no TLS, all is in clear),
  // and what this device shows where the edge asks for it.
  std::filesystem::path tls_authority;
  std::filesystem::path tls_certificate;
  std::filesystem::path tls_key;
  std::map<std::string, std::filesystem::path> models;  // aloft::nn::Graph name -> ONNX file
  // Module name -> .wasm file whose digest is asked for at the edge in place of the one built with
  // this program.
  std::map<std::string, std::filesystem::path> modules;
  std::shared_ptr<Policy> policy;  // default: local_policy()
  int inference_threads = 1;       // of one inference here
  int local_workers = 1;           // threads for asynchronous calls that run here
  std::size_t max_in_flight = 4;   // remote calls at a time; further ones wait
  std::size_t max_waiting = 64;  // remote calls that wait; further ones fall back with `overloaded`
  std::chrono::milliseconds call_timeout{5000};  // a remote call that takes longer falls back
  bool digest_tensors = false;
  // Called once for each call, before its result can be taken: for calls in the synchronous form on
  // the caller's thread, for others on a thread of the runtime. Must not block; must neither bind,
  // unbind nor destroy the runtime.
  std::function<void(const CallRecord&)> on_call;
  // Guest output, traps, edge up and down, decisions (debug). From any thread, several at once;
  // must not block. Default: spdlog, to standard error.
  std::function<void(LogLevel level, std::string_view line)> log;
  LogLevel log_level = LogLevel::info;  // what is below it is not logged (and costs nothing)
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

  // Waits until the edge has opened every module, or says why not: the edge's own reason at once
  // when it refuses one (not_found, signature_mismatch, corrupt, ...) or speaks another protocol or
  // version; unreachable after `timeout`. invalid_argument without an edge.
  [[nodiscard]] Result<void> wait_for_edge(std::chrono::milliseconds timeout);
  // Connected, and every module opened. Changes at any time.
  [[nodiscard]] bool edge_ready() const;

  // For reports. "wasmtime 48.0.2" as the edge said it last; empty before.
  [[nodiscard]] std::string wasm_engine() const;
  // "onnxruntime 1.23.2, CPU, 1 thread": the one here; empty without models.
  [[nodiscard]] std::string inference_engine() const;
  // The same of the edge; empty before it said so.
  [[nodiscard]] std::string edge_inference_engine() const;
  // 64 hex digits; empty when there is no such model.
  [[nodiscard]] std::string model_sha256(std::string_view graph_name) const;

  // What went over the link since the runtime was made, reconnects, heartbeats and models included.
  struct LinkBytes {
    std::uint64_t tx = 0;
    std::uint64_t rx = 0;
  };
  [[nodiscard]] LinkBytes link_bytes() const;

  // From now on the policy is this one (null: local_policy()).
  void set_policy(std::shared_ptr<Policy> policy);

  class Impl;

 private:
  friend void bind(Runtime& runtime);
  explicit Runtime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// While it lives, elastic calls made by this thread go to `place`, whatever the policy says. Scopes
// nest; the innermost counts. With Place::edge a call still falls back when the edge fails:
// CallRecord says so.
//
//   const auto here = [&] { const aloft::PlaceScope scope(aloft::Place::here); return
//   detect_object(frame); }();
class PlaceScope {
 public:
  explicit PlaceScope(Place place);
  ~PlaceScope();
  PlaceScope(const PlaceScope&) = delete;
  PlaceScope& operator=(const PlaceScope&) = delete;

 private:
  std::optional<Place> outer_;
};

// Elastic functions dispatch through `runtime` until it is destroyed, another one is bound, or
// unbind() is called. Both wait for the synchronous calls that go through the runtime bound before.
// Not from within an elastic call.
void bind(Runtime& runtime);
void unbind();

}  // namespace aloft
