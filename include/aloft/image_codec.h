// How the images among a function's arguments go to an edge: as they are, or as JPEG, which the
// edge decodes before the guest sees them.
//
// JPEG is lossy, so the results of a call at an edge are no longer bit for bit those of a call
// here. It is therefore asked for by function (FunctionSettings::images), and off otherwise:
//
//   options.functions["demo::detect_object"].images = aloft::ImageCodec::jpeg(90);
//   options.functions["demo::detect_object"].images = aloft::ImageCodec::automatic(missed);
//
// Only images of gray8, bgr8 and rgb8 are encoded; one with an alpha channel, one that JPEG makes
// no smaller, and one for an edge that decodes none, goes as it is. Methods of objects and messages
// of channels, which may have to be repeated elsewhere with the same bits, always do.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include <aloft/loss.h>
#include <aloft/policy.h>

namespace aloft {

enum class ImageFormat : std::uint8_t { raw = 0, jpeg = 1 };

// How one call's images went.
struct ImageCoding {
  ImageFormat format = ImageFormat::raw;
  int quality = 0;  // JPEG: 1..100, as libjpeg counts; raw: 0

  friend bool operator==(const ImageCoding&, const ImageCoding&) = default;
};

// What a function asks for.
struct ImageCodec {
  // As they are: lossless.
  [[nodiscard]] static ImageCodec raw() { return {}; }
  // Always as JPEG, with this quality (1..100).
  [[nodiscard]] static ImageCodec jpeg(int quality) {
    ImageCodec codec;
    codec.coding = {ImageFormat::jpeg, quality};
    return codec;
  }
  // As whatever takes the least time, going by the link's bandwidth and what encoding costs, while
  // results lose no more than `most_loss` on average. To know that, some calls are computed a
  // second time, on the images as they are, and `loss` compares the results: off the caller's way,
  // with no more than `check_share` of the calls and of the link's time. Better quality, or raw
  // images, are used at once when the loss would be exceeded. `loss` is of the function's result
  // type, which the runtime checks when it is made.
  [[nodiscard]] static ImageCodec automatic(Loss loss, double most_loss = 0.03) {
    ImageCodec codec;
    codec.loss = std::move(loss);
    codec.most_loss = most_loss;
    return codec;
  }
  [[nodiscard]] bool is_automatic() const { return static_cast<bool>(loss); }

  ImageCoding coding{};  // unless it is automatic
  Loss loss{};           // automatic
  double most_loss = 0.03;
  double check_share = 0.1;      // 0..1
  Place check_at = Place::edge;  // where the second computation is: here it costs no bytes
};

// What coding one call's images came to; all zero for a call whose images went as they are.
struct ImageCodingRecord {
  ImageCoding coding{};
  std::uint64_t raw_bytes = 0;    // of the pixels
  std::uint64_t coded_bytes = 0;  // of what went in their place
  std::chrono::nanoseconds encode{};
  std::chrono::nanoseconds decode{};  // at the edge
};

}  // namespace aloft
