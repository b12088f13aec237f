// The digest of each tensor that a native call hands to the inference engine, to compare a run here
// with one at an edge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "inference/graph_table.h"

namespace aloft::function {

class TensorDigests final : public inference::TensorObserver {
 public:
  explicit TensorDigests(std::vector<std::string>& digests) : digests_(digests) {}
  void on_input(std::string_view, std::uint32_t, const inference::TensorView& tensor) override {
    digests_.push_back(sha256(tensor.data).hex());
  }

 private:
  std::vector<std::string>& digests_;
};

}  // namespace aloft::function
