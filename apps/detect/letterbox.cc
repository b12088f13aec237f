#include "letterbox.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "lanes.h"

namespace detect {
namespace {

constexpr std::uint32_t kOne = 128;  // weight of a whole row or column of pixels
constexpr std::size_t kPlane = std::size_t{kInputSide} * kInputSide;
constexpr float kGrey = 114.0F / 255.0F;
constexpr float kToUnit = 1.0F / (255.0F * kOne);  // from a mixed value to 0..1

// Where a sample lies: at pixel `index` (a row or a column) and `weight` / kOne of the way to the
// next.
struct Sample {
  std::uint32_t index = 0;
  std::uint32_t weight = 0;  // 0 at the last pixel
};

// Sample `i` of `to` over `from` pixels: centres map to centres, beyond the edge the edge goes on.
Sample sample(std::uint32_t i, std::uint32_t from, std::uint32_t to) {
  const std::int64_t scaled = (std::int64_t{2} * i + 1) * from * kOne;
  const std::int64_t centre =
      (scaled + to) / (std::int64_t{2} * to) - kOne / 2;  // to the nearest kOne-th
  const std::int64_t last = std::int64_t{from - 1} * kOne;
  const auto position = static_cast<std::uint64_t>(std::clamp<std::int64_t>(centre, 0, last));
  return {static_cast<std::uint32_t>(position / kOne), static_cast<std::uint32_t>(position % kOne)};
}

// Two rows of the frame, mixed: a * (kOne - weight) + b * weight, at most 255 * 128, which 16 bits
// hold with a sign. (Signed on purpose: they become floats, and converting unsigned numbers is slow
// in WebAssembly.)
void mix_rows(const std::uint8_t* a, const std::uint8_t* b, std::uint32_t weight, std::size_t size,
              std::int16_t* mixed) {
  const auto of_b = static_cast<std::int16_t>(weight);
  const auto of_a = static_cast<std::int16_t>(kOne - weight);
  const std::uint8_t* const end = a + size;
  for (; end - a >= 64; a += 64, b += 64, mixed += 64) {
    unrolled<8>([&](std::size_t i) {
      const Shorts8 sum = __builtin_convertvector(load<Bytes8>(a + 8 * i), Shorts8) * of_a +
                          __builtin_convertvector(load<Bytes8>(b + 8 * i), Shorts8) * of_b;
      store(sum, mixed + 8 * i);
    });
  }
  for (; a != end; ++a, ++b, ++mixed) *mixed = static_cast<std::int16_t>(*a * of_a + *b * of_b);
}

// The columns of the scaled picture.
struct Columns {
  const std::int16_t* const* pixels = nullptr;  // the first pixel of each in the mixed row
  const float* weights = nullptr;               // of each one's next pixel, times kToUnit
};

// The three channels of a column, 0..1, and a fourth number of no meaning.
Floats4 mix_pixels(const std::int16_t* pixel, const Floats4& weight) {
  const Floats4 here =
      __builtin_convertvector(__builtin_convertvector(load<Shorts4>(pixel), Ints4), Floats4);
  const Floats4 next =
      __builtin_convertvector(__builtin_convertvector(load<Shorts4>(pixel + 3), Ints4), Floats4);
  return here * kToUnit + (next - here) * weight;
}
constexpr std::size_t kReadBeyondRow =
    4;  // values of `mixed` that mix_pixels reads after a row's last

// Four columns to four places of the red plane, and of the green and the blue plane behind it.
void spread_four(const std::int16_t* const* pixels, const float* weights, float* red) {
  const auto weight = load<Floats4>(weights);
  const Floats4 a = mix_pixels(pixels[0], __builtin_shufflevector(weight, weight, 0, 0, 0, 0));
  const Floats4 b = mix_pixels(pixels[1], __builtin_shufflevector(weight, weight, 1, 1, 1, 1));
  const Floats4 c = mix_pixels(pixels[2], __builtin_shufflevector(weight, weight, 2, 2, 2, 2));
  const Floats4 d = mix_pixels(pixels[3], __builtin_shufflevector(weight, weight, 3, 3, 3, 3));
  const Floats4 blue_green_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Floats4 blue_green_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  store(__builtin_shufflevector(blue_green_ab, blue_green_cd, 0, 1, 4, 5), red + 2 * kPlane);
  store(__builtin_shufflevector(blue_green_ab, blue_green_cd, 2, 3, 6, 7), red + kPlane);
  // As halves, which have an instruction of their own also where the compiler sees that only a part
  // of them is used.
  const auto halves = [](const Floats4& v) { return std::bit_cast<Longs2>(v); };
  const auto red_ab = std::bit_cast<Floats4>(__builtin_shufflevector(halves(a), halves(b), 1, 3));
  const auto red_cd = std::bit_cast<Floats4>(__builtin_shufflevector(halves(c), halves(d), 1, 3));
  store(__builtin_shufflevector(red_ab, red_cd, 0, 2, 4, 6), red);
}

// One row of the square: `width` columns to the red plane at `red`, and to the two planes behind
// it.
void spread_row(Columns columns, std::size_t width, float* red) {
  std::size_t x = 0;
  for (; x + 16 <= width; x += 16) {
    unrolled<4>([&](std::size_t i) {
      spread_four(columns.pixels + x + 4 * i, columns.weights + x + 4 * i, red + x + 4 * i);
    });
  }
  for (; x < width; ++x) {
    const float weight = columns.weights[x];
    const Floats4 pixel = mix_pixels(columns.pixels[x], Floats4{weight, weight, weight, weight});
    red[x] = pixel[2];
    red[x + kPlane] = pixel[1];
    red[x + 2 * kPlane] = pixel[0];
  }
}

// The picture with its channels in the order that the rows above are read in.
aloft::Image to_bgr(const aloft::Image& frame) {
  const std::size_t step = aloft::channels(frame.format());
  const bool grey = frame.format() == aloft::PixelFormat::gray8;
  const bool red_first =
      frame.format() == aloft::PixelFormat::rgb8 || frame.format() == aloft::PixelFormat::rgba8;
  const std::size_t green = grey ? 0 : 1;
  const std::size_t red = grey ? 0 : (red_first ? 0 : 2);
  const std::size_t blue = grey ? 0 : (red_first ? 2 : 0);
  aloft::Image bgr(frame.width(), frame.height(), aloft::PixelFormat::bgr8);
  const std::uint8_t* from = frame.pixels().data();
  const std::span<std::uint8_t> to = bgr.mutable_pixels();
  for (std::size_t i = 0; i < to.size(); i += 3, from += step) {
    to[i] = from[blue];
    to[i + 1] = from[green];
    to[i + 2] = from[red];
  }
  return bgr;
}

}  // namespace

Placement place(std::uint32_t width, std::uint32_t height) {
  const std::uint64_t longer = std::max(width, height);
  const auto scaled = [longer](std::uint32_t side) {
    const std::uint64_t rounded = (std::uint64_t{2} * side * kInputSide + longer) / (2 * longer);
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(rounded, 1));
  };
  Placement placement;
  placement.width = scaled(width);
  placement.height = scaled(height);
  placement.left = (kInputSide - placement.width) / 2;
  placement.top = (kInputSide - placement.height) / 2;
  placement.x_scale = static_cast<float>(width) / static_cast<float>(placement.width);
  placement.y_scale = static_cast<float>(height) / static_cast<float>(placement.height);
  return placement;
}

void letterbox(const aloft::Image& frame, const Placement& placement, std::span<float> planes) {
  if (frame.format() != aloft::PixelFormat::bgr8)
    return letterbox(to_bgr(frame), placement, planes);
  const std::uint8_t* const pixels = frame.pixels().data();
  const std::size_t row_values = frame.stride();
  const auto mixed = std::make_unique_for_overwrite<std::int16_t[]>(row_values + kReadBeyondRow);
  std::fill_n(mixed.get() + row_values, kReadBeyondRow, std::int16_t{0});
  const auto pixels_of = std::make_unique_for_overwrite<const std::int16_t*[]>(placement.width);
  const auto weights_of = std::make_unique_for_overwrite<float[]>(placement.width);
  for (std::uint32_t x = 0; x < placement.width; ++x) {
    const Sample at = sample(x, frame.width(), placement.width);
    pixels_of[x] = mixed.get() + std::size_t{3} * at.index;
    weights_of[x] = static_cast<float>(at.weight) * kToUnit / kOne;
  }
  const Columns columns{pixels_of.get(), weights_of.get()};
  const std::size_t right = placement.left + placement.width;

  for (std::uint32_t y = 0; y < placement.height; ++y) {
    const Sample row = sample(y, frame.height(), placement.height);
    const std::uint8_t* const first = pixels + row.index * row_values;
    mix_rows(first, row.weight == 0 ? first : first + row_values, row.weight, row_values,
             mixed.get());
    float* const red = planes.data() + std::size_t{placement.top + y} * kInputSide;
    spread_row(columns, placement.width, red + placement.left);
    if (placement.width == kInputSide) continue;
    for (float* plane = red; plane != red + 3 * kPlane; plane += kPlane) {
      std::fill(plane, plane + placement.left, kGrey);
      std::fill(plane + right, plane + kInputSide, kGrey);
    }
  }
  const std::size_t above = std::size_t{placement.top} * kInputSide;
  const std::size_t below = std::size_t{placement.top + placement.height} * kInputSide;
  for (float* plane = planes.data(); plane != planes.data() + 3 * kPlane; plane += kPlane) {
    std::fill(plane, plane + above, kGrey);
    std::fill(plane + below, plane + kPlane, kGrey);
  }
}

}  // namespace detect
