// One inference of whatever model the application names: tests name ones that double, and ones that
// never end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <aloft/nn.h>
#include <aloft/offload.h>

namespace infer {
namespace {

const aloft::nn::Graph model{"model"};

}  // namespace

ALOFT_OFFLOAD float run(float x) {
  auto context = model.context();
  if (!context) aloft::abort_call(context.error().message);
  const std::array<std::uint32_t, 1> dims{1};
  const std::array<float, 1> input{x};
  auto set =
      context->set_input(0, {aloft::nn::ElementType::f32, dims, std::as_bytes(std::span(input))});
  if (!set) aloft::abort_call(set.error().message);
  if (auto computed = context->compute(); !computed) aloft::abort_call(computed.error().message);
  std::array<float, 1> output{};
  auto got = context->get_output(0, std::as_writable_bytes(std::span(output)));
  if (!got) aloft::abort_call(got.error().message);
  return output[0];
}

}  // namespace infer
