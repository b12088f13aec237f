// A loaded model as one instance sees it: the shared graph, with turns between the instances of a
// session, and a meter that says what a call did with it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "host/inference_turns.h"
#include "inference/engine.h"

namespace aloft::host {

enum class TensorDigests { no, yes };

// What one call at a time did in the engine. Thread rule: begin() and end() from the instance's
// worker, computing() from any thread, the rest is the graphs' own.
class InferenceMeter {
 public:
  struct Reading {
    std::chrono::nanoseconds
        time{};  // from compute() to its completion, waiting for the turn included
    std::vector<std::string> digests;  // function::Return::tensor_digests
  };
  void begin(TensorDigests digests);
  [[nodiscard]] Reading end();
  // The model of an inference that is in the engine now: the one to blame when it does not end.
  [[nodiscard]] std::optional<Digest> computing() const;

 private:
  friend class MeteredExecution;
  [[nodiscard]] TensorDigests wanted() const;
  void add_digest(std::string digest);
  void start(const Digest& model);
  void stop(std::chrono::nanoseconds time);

  mutable std::mutex mutex_;
  TensorDigests digests_ = TensorDigests::no;
  Reading reading_;
  std::optional<Digest> computing_;
};

// `turns` and `meter` outlive the graph and its executions; the executions of one meter compute one
// at a time.
[[nodiscard]] std::shared_ptr<inference::Graph> make_metered_graph(
    std::shared_ptr<inference::Graph> graph, const Digest& digest, InferenceTurns& turns,
    InferenceMeter& meter);

}  // namespace aloft::host
