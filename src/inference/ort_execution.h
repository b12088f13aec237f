// One inference on ONNX Runtime: inputs in place, outputs kept until the next one, cancellable at
// any time.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "inference/engine.h"
#include "inference/ort.h"
#include "inference/work_queue.h"

namespace aloft::inference {

// A loaded model and what its executions share. Immutable after loading.
struct OrtModel {
  std::shared_ptr<WorkQueue> queue;
  std::shared_ptr<OrtEnv> env;
  ort::Handle<OrtMemoryInfo> memory;
  ort::Handle<OrtSession> session;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
};

class OrtExecution final : public Execution, private Job {
 public:
  [[nodiscard]] static Result<std::unique_ptr<OrtExecution>> create(
      std::shared_ptr<const OrtModel> model);
  ~OrtExecution() override;

  Result<void> set_input(std::uint32_t index, const TensorView& tensor) override;
  void compute(Completion done) override;
  void cancel() override;
  Result<TensorView> output(std::uint32_t index) const override;

 private:
  struct Input {
    std::vector<std::byte> copy;  // of what must not change, or lies badly, under the engine
    ort::Handle<OrtValue> value;
  };
  struct Output {
    ort::Handle<OrtValue> value;
    std::vector<std::uint32_t> dims;
    std::span<const std::byte> data;
  };
  enum class State : std::uint8_t { idle, queued, running };

  OrtExecution(std::shared_ptr<const OrtModel> model, ort::Handle<OrtRunOptions> options);
  void run() override;
  Result<void> infer();
  Result<void> read_output(std::uint32_t index);
  void complete(Result<void> outcome);

  const std::shared_ptr<const OrtModel> model_;
  const ort::Handle<OrtRunOptions> options_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  bool computed_ = false;

  std::mutex mutex_;
  std::condition_variable done_changed_;
  State state_ = State::idle;
  bool cancelled_ = false;  // the compute() under way
  int unfinished_ = 0;      // compute()s whose completion has not returned
  Completion done_;
};

}  // namespace aloft::inference
