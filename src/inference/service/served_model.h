// A model as the inference process has it: loaded once for all who bring the same bytes, with what
// is known of running several requests in one batch.
//
// A batch is one inference over rows of several requests, along the first dimension, where the
// model leaves that open at all its inputs and outputs. Two promises limit it:
//
//   same bits   a row's result must not depend on its neighbours, nor on their number: kernels
//               choose their order of additions by the size of their input. So the model is tried
//               out first (try_out()), with the shape that is in use: a batch of 2, 4, 8... rows
//               must have, bit for bit, the results of each row alone.
//   own rows    a model that was made for it could tell one row what is in another. What was tried
//               out cannot exclude that, so rows of several tenants meet only in models that the
//               operator vouches for.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/digest.h"
#include "inference/engine.h"

namespace aloft::inference::service {

enum class Batching : std::uint8_t {
  off,
  same_bits,  // as above
  any_bits,   // without trying out: results may differ in their last bits from one call to the next
};

enum class Vouched : std::uint8_t { no, yes };

// What one inference needs of its own, kept for the next one: fresh memory costs more than copying.
struct Workplace {
  std::unique_ptr<Execution> execution;
  std::vector<std::vector<std::byte>> inputs;
};

// Thread rule: any thread.
class ServedModel {
 public:
  // `most_rows`: of a batch; 1: none.
  ServedModel(const Digest& digest, std::shared_ptr<Graph> graph, Batching batching,
              std::uint32_t most_rows, Vouched vouched);

  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] const Graph& graph() const { return *graph_; }
  [[nodiscard]] Vouched vouched() const { return vouched_; }

  // How many requests of one row and this shape may share an inference; 1 where none may. The
  // sizes that may be used are its powers of two, or all of them with Batching::any_bits.
  [[nodiscard]] std::uint32_t most_rows(const std::vector<std::vector<std::uint32_t>>& shape) const;
  // The largest size that may be used for so many requests.
  [[nodiscard]] std::uint32_t usable(std::uint32_t rows) const;

  // Whether this shape should be tried out; true once.
  [[nodiscard]] bool wants_trial(const std::vector<std::vector<std::uint32_t>>& shape);
  // Runs batches of rows with random numbers, and each row alone, until `until`. Says what came of
  // it, for the log.
  [[nodiscard]] std::string try_out(std::chrono::steady_clock::time_point until,
                                    std::stop_token stop);
  // A batch has given outputs that are no rows: never again.
  void forbid();

  [[nodiscard]] Result<std::unique_ptr<Workplace>> take_workplace();
  void give_back(std::unique_ptr<Workplace> workplace);

 private:
  using Shape = std::vector<std::vector<std::uint32_t>>;
  [[nodiscard]] bool has_open_batch() const;
  struct Trial;

  const Digest digest_;
  const std::shared_ptr<Graph> graph_;
  const Batching batching_;
  const std::uint32_t limit_;
  const Vouched vouched_;
  std::atomic<std::uint32_t> proven_ = 1;  // rows

  mutable std::mutex mutex_;
  Shape tried_;  // that the trial was, or is, about
  bool trial_begun_ = false;
  std::vector<std::unique_ptr<Workplace>> spare_;
};

}  // namespace aloft::inference::service
