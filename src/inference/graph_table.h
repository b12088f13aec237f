// Where aloft::nn::Graph finds its model when a tagged function runs natively.
//
// A guest reaches graphs through its instance's wasi-nn; a native function has no instance. Whoever
// runs one on a thread (the dispatcher, a test, a benchmark) says for how long and with which
// graphs:
//
//   GraphTable graphs{{"detector", engine->load_onnx(bytes).value()}};
//   {
//     const GraphScope scope{graphs};
//     detect_object(frame);           // nn::Graph{"detector"} is found on this thread
//   }
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "inference/engine.h"

namespace aloft::inference {

// Names of graphs and what stands behind them. Thread rule: immutable once scopes use it.
class GraphTable {
 public:
  GraphTable() = default;
  GraphTable(std::initializer_list<std::pair<const std::string, std::shared_ptr<Graph>>> graphs)
      : graphs_(graphs) {}

  // Replaces a graph of that name.
  void set(std::string name, std::shared_ptr<Graph> graph) {
    graphs_.insert_or_assign(std::move(name), std::move(graph));
  }
  // Null when there is none.
  [[nodiscard]] std::shared_ptr<Graph> find(std::string_view name) const;

 private:
  std::map<std::string, std::shared_ptr<Graph>, std::less<>> graphs_;
};

// Sees each tensor that native code hands to the engine, as the engine gets it: called when a
// compute() starts, once for each input, in the order of their indices. The bytes are valid during
// the call.
class TensorObserver {
 public:
  virtual ~TensorObserver() = default;
  virtual void on_input(std::string_view graph, std::uint32_t index, const TensorView& tensor) = 0;
};

// While it lives, nn::Graph on this thread finds the graphs of `table`. Scopes nest; the innermost
// counts, and contexts keep using the scope they were made in, which must outlive them.
class GraphScope {
 public:
  // `table` and `observer` (may be null) are borrowed. `stop` cancels the inferences made in this
  // scope.
  explicit GraphScope(const GraphTable& table, TensorObserver* observer = nullptr,
                      std::stop_token stop = {});
  ~GraphScope();
  GraphScope(const GraphScope&) = delete;
  GraphScope& operator=(const GraphScope&) = delete;

  // The innermost scope of this thread, or null.
  [[nodiscard]] static const GraphScope* current();

  [[nodiscard]] const GraphTable& table() const { return table_; }
  [[nodiscard]] TensorObserver* observer() const { return observer_; }
  [[nodiscard]] const std::stop_token& stop() const { return stop_; }

 private:
  const GraphTable& table_;
  TensorObserver* const observer_;
  const std::stop_token stop_;
  const GraphScope* const outer_;
};

}  // namespace aloft::inference
