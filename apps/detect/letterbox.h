// Frame to network input: scaled to fit a 640x640 square with its proportions kept, the rest of the
// square grey.
//
// Part of the module: compiled for the device and for WebAssembly. Positions and weights are
// integers and every sum of weighted pixels is exact, so both builds give the same bits whatever
// the compiler does with the loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <aloft/image.h>

namespace detect {

inline constexpr std::uint32_t kInputSide = 640;                                       // pixels
inline constexpr std::size_t kInputFloats = std::size_t{3} * kInputSide * kInputSide;  // one tensor

// Where a frame lies in the square.
struct Placement {
  std::uint32_t left = 0;  // pixels of the square
  std::uint32_t top = 0;
  std::uint32_t width = 0;  // of the scaled frame, 1..640
  std::uint32_t height = 0;
  float x_scale = 1;  // pixels of the frame for one of the square
  float y_scale = 1;
};

// Centres a frame of `width` x `height` pixels, both at least 1.
[[nodiscard]] Placement place(std::uint32_t width, std::uint32_t height);

// Writes `frame` (packed, at least one pixel, of any format; bgr8 is the fast one) into `planes`:
// 640x640 floats of red, then green, then blue, each 0..1; bilinear, with 114/255 around the
// picture. `planes` has kInputFloats elements and need not be initialised.
void letterbox(const aloft::Image& frame, const Placement& placement, std::span<float> planes);

}  // namespace detect
