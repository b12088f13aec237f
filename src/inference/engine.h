// Inference: the one interface behind wasi-nn at the edge and behind aloft::nn on the device alike.
//
// Both places use the same engine with the same settings, so that where a function runs changes
// nothing but where it runs. An Engine loads models into Graphs; a Graph is immutable and shared by
// any number of Executions; an Execution is one inference at a time. Computing is asynchronous and
// cancellable, because the deadline that stops a guest does not interrupt a host call that the
// guest waits in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <aloft/nn.h>
#include <aloft/result.h>

namespace aloft::inference {

using nn::Device;
using nn::ElementType;
using nn::TensorView;

// What a model wants or gives at one index. A dimension of 0 is one the model leaves open.
struct TensorInfo {
  std::string name;
  ElementType type = ElementType::f32;
  std::vector<std::uint32_t> dims;
};

// Told when a compute() ends: called once, from a thread of the engine, or from the one that
// cancels a compute() which still waits its turn. Must not block, and must not destroy the
// Execution; it may compute() again.
using Completion = std::function<void(Result<void>)>;

// One inference. Thread rule: one thread at a time, except cancel(), which any thread may call.
class Execution {
 public:
  virtual ~Execution() =
      default;  // cancels a running compute() and waits until its completion has returned

  // Borrows `tensor.data` until the next compute() has completed. Large tensors of floating point
  // numbers are read in place; small, integer and misaligned ones are copied. Errors:
  // invalid_argument (no such input, another type or shape than the model's, bytes that do not
  // match the shape).
  [[nodiscard]] virtual Result<void> set_input(std::uint32_t index, const TensorView& tensor) = 0;
  // Starts computing; `done` gets success, cancelled, invalid_argument (an input was not set), or
  // the engine's own message as internal. One at a time: not again before `done` is called.
  virtual void compute(Completion done) = 0;
  // Asks a running compute() to end early. Safe at any time. A single long operator may not notice:
  // see Engine's caller for what happens then.
  virtual void cancel() = 0;
  // Valid until the next compute() or destruction. Errors: invalid_argument (no such output, or not
  // computed).
  [[nodiscard]] virtual Result<TensorView> output(std::uint32_t index) const = 0;
};

// A loaded model. Thread rule: immutable, any thread.
class Graph {
 public:
  virtual ~Graph() = default;
  [[nodiscard]] virtual const std::vector<TensorInfo>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<TensorInfo>& outputs() const = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<Execution>> make_execution() = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;
  // Loads an ONNX model held in memory; `model` is not used afterwards. Errors: corrupt (truncated,
  // not ONNX, no valid graph), refused (external data: weights outside the file; operators or types
  // that the engine lacks), internal. Takes as long as the model's optimisation does.
  [[nodiscard]] virtual Result<std::shared_ptr<Graph>> load_onnx(
      std::span<const std::byte> model) = 0;
  // For reports: engine, version, device, threads, e.g. "onnxruntime 1.23.2, CPU, 1 thread".
  [[nodiscard]] virtual std::string description() const = 0;
  // The accelerators that it computes on, by name; none: the processor.
  [[nodiscard]] virtual std::vector<std::string> accelerators() const { return {}; }
};

// "cpu", "cuda", "auto". Errors: invalid_argument.
[[nodiscard]] Result<Device> parse_device(std::string_view text);

struct EngineOptions {
  int threads = 1;      // threads of one inference; never spinning
  int concurrency = 1;  // inferences at a time; further ones wait in order
  Device device = Device::cpu;
  // Where a GPU build of the engine and its provider libraries lie, for `cuda` and `automatic`;
  // empty: beside the engine that this program is linked to.
  std::filesystem::path libraries{};
};

// The engine (ONNX Runtime). Errors: invalid_argument; not_found, refused (CUDA, which cannot be
// used: what is missing, and what to do). With CUDA the process must not fork afterwards.
[[nodiscard]] Result<std::unique_ptr<Engine>> make_engine(const EngineOptions& options);
[[nodiscard]] inline Result<std::unique_ptr<Engine>> make_cpu_engine(EngineOptions options) {
  options.device = Device::cpu;
  return make_engine(options);
}

// Whether the files of CUDA are there, without touching the accelerator. Errors: as make_engine.
[[nodiscard]] Result<void> check_cuda_files(const std::filesystem::path& libraries);

// Starts a compute() and waits for it. At `deadline`, or when `stop` is requested, cancels it and
// waits for its end; answers deadline_exceeded or cancelled, unless the result came all the same.
// time_point::max(): no deadline.
[[nodiscard]] Result<void> compute_and_wait(Execution& execution,
                                            std::chrono::steady_clock::time_point deadline,
                                            std::stop_token stop = {});

}  // namespace aloft::inference
