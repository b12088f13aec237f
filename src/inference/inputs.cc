#include "inference/inputs.h"

#include <algorithm>

#include "inference/tensor.h"

namespace aloft::inference {
namespace {

bool fits(const TensorInfo& info, const TensorView& tensor) {
  if (tensor.type != info.type || tensor.dims.size() != info.dims.size()) return false;
  return std::ranges::equal(info.dims, tensor.dims, [](std::uint32_t wanted, std::uint32_t given) {
    return wanted == 0 || wanted == given;
  });
}

std::string name_of(const std::vector<TensorInfo>& inputs, std::size_t index) {
  return "input " + std::to_string(index) + " '" + inputs[index].name + "'";
}

}  // namespace

Result<void> check_input(const std::vector<TensorInfo>& inputs, std::uint32_t index,
                         const TensorView& tensor) {
  if (index >= inputs.size()) {
    return fail(Errc::invalid_argument, "the model has no input " + std::to_string(index) +
                                            ", it has " + std::to_string(inputs.size()));
  }
  const TensorInfo& info = inputs[index];
  if (!fits(info, tensor)) {
    return fail(Errc::invalid_argument, name_of(inputs, index) + " is " +
                                            describe(info.type, info.dims) + ", got " +
                                            describe(tensor.type, tensor.dims));
  }
  const auto bytes = byte_size(tensor.type, tensor.dims);
  if (!bytes || *bytes != tensor.data.size()) {
    return fail(Errc::invalid_argument,
                name_of(inputs, index) + ": " + describe(tensor.type, tensor.dims) + " takes " +
                    (bytes ? std::to_string(*bytes) : std::string("too many")) + " bytes, got " +
                    std::to_string(tensor.data.size()));
  }
  return {};
}

std::string not_set(const std::vector<TensorInfo>& inputs, std::size_t index) {
  return name_of(inputs, index) + " was not set";
}

}  // namespace aloft::inference
