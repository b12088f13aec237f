#include "model_check.h"

#include <array>
#include <fstream>
#include <ranges>
#include <span>
#include <string>
#include <vector>

#include "inference/engine.h"
#include "inference/tensor.h"
#include "model_file.h"

namespace detect {
namespace {

using aloft::Errc;
using aloft::fail;
using aloft::inference::TensorInfo;

constexpr std::array<std::uint32_t, 4> kInput{1, 3, 640, 640};
constexpr std::array<std::uint32_t, 3> kOutput{1, 84, 8400};

bool fits(const std::vector<TensorInfo>& tensors, std::span<const std::uint32_t> dims) {
  // A dimension of 0 is one the model leaves open.
  return tensors.size() == 1 && tensors[0].type == aloft::nn::ElementType::f32 &&
         std::ranges::equal(tensors[0].dims, dims, [](std::uint32_t found, std::uint32_t wanted) {
           return found == 0 || found == wanted;
         });
}

std::string describe(const std::vector<TensorInfo>& tensors) {
  std::string text;
  for (const TensorInfo& tensor : tensors) {
    if (!text.empty()) text += " and ";
    text += aloft::inference::describe(tensor.type, tensor.dims);
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

aloft::Result<void> check_model(const std::filesystem::path& model) {
  const auto bytes = read_model(model);
  if (!bytes) return std::unexpected(bytes.error());
  auto engine = aloft::inference::make_cpu_engine({});
  if (!engine) return std::unexpected(engine.error());
  const auto graph = (*engine)->load_onnx(*bytes);
  if (!graph) return fail(graph.error().code, model.string() + ": " + graph.error().message);
  const auto& inputs = (*graph)->inputs();
  const auto& outputs = (*graph)->outputs();
  if (!fits(inputs, kInput) || !fits(outputs, kOutput)) {
    return fail(Errc::invalid_argument,
                model.string() + " is not a detector as YOLOv8 exports them: it takes " +
                    describe(inputs) + " and gives " + describe(outputs) + ", needed are " +
                    aloft::inference::describe(aloft::nn::ElementType::f32, kInput) + " and " +
                    aloft::inference::describe(aloft::nn::ElementType::f32, kOutput));
  }
  return {};
}

}  // namespace detect
