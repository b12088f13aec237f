// How the images of one function's calls go, from call to call: what it asks for, and, where that
// is "automatic", the chooser and the checks that tell it what is lost.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>

#include "function/codec_chooser.h"
#include <aloft/image_codec.h>

namespace aloft::function {

// Thread rule: any thread.
class FunctionImages {
 public:
  using Time = CodecChooser::Time;

  explicit FunctionImages(const ImageCodec& asked);

  [[nodiscard]] const ImageCodec& asked() const { return asked_; }

  struct Choice {
    ImageCoding coding;
    // It is to be checked against this one. check_over() has to follow, once.
    std::optional<ImageCoding> check;
  };
  // For a call with so many bytes of pixels that is about to go to an edge.
  [[nodiscard]] Choice choose(std::uint64_t raw_bytes, Time now);
  // A call, or a check, came back from an edge.
  void sent(const CodecChooser::Sent& sent);
  // A check is over: what it found for JPEG of this quality, if it found something.
  void check_over(int quality, std::optional<double> loss);

 private:
  const ImageCodec asked_;
  std::mutex mutex_;
  CodecChooser chooser_;
  bool checking_ = false;
};

}  // namespace aloft::function
