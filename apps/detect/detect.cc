#include "detect.h"

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "letterbox.h"
#include "yolo_boxes.h"
#include <aloft/nn.h>

namespace detect {
namespace {

const aloft::nn::Graph detector{"detector"};

}  // namespace

std::vector<Detection> detect_object(const aloft::Image& frame) {
  if (frame.empty()) return {};
  if (frame.pixels().size() != frame.stride() * frame.height()) {
    aloft::abort_call("detect_object: the frame's pixels do not match its size");
  }

  // Neither buffer is read before it is written.
  const auto input = std::make_unique_for_overwrite<float[]>(kInputFloats);
  const auto output = std::make_unique_for_overwrite<float[]>(kOutputFloats);
  const std::span<float> planes{input.get(), kInputFloats};
  const std::span<float> rows{output.get(), kOutputFloats};

  const Placement placement = place(frame.width(), frame.height());
  letterbox(frame, placement, planes);

  auto inference = detector.context();
  if (!inference) aloft::abort_call(inference.error().message);
  constexpr std::array<std::uint32_t, 4> kInputShape{1, 3, kInputSide, kInputSide};
  const aloft::nn::TensorView tensor{aloft::nn::ElementType::f32, kInputShape,
                                     std::as_bytes(planes)};
  if (auto set = inference->set_input(0, tensor); !set) aloft::abort_call(set.error().message);
  if (auto computed = inference->compute(); !computed) aloft::abort_call(computed.error().message);
  const auto written = inference->get_output(0, std::as_writable_bytes(rows));
  if (!written) aloft::abort_call(written.error().message);
  if (*written != rows.size_bytes()) aloft::abort_call("the model's output is not 1x84x8400");

  return find_boxes(rows, placement, frame.width(), frame.height());
}

}  // namespace detect
