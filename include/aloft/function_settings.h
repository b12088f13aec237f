// What an application asks of one elastic function: how long its calls may take, and what happens
// when the edge fails one or lets it wait.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include <aloft/image_codec.h>

namespace aloft {

enum class Fallback : std::uint8_t {
  here,  // what no edge could do is run here
  none,  // its caller is told why no edge could do it
};

// Settings of a function are asked for by its qualified name in RuntimeOptions::functions.
struct FunctionSettings {
  // From the call to its result. One without a result by then ends with deadline_exceeded. A run
  // here is not torn down in mid body (its inference is): it ends with deadline_exceeded once the
  // body has returned. A DeadlineScope of the calling thread takes this one's place.
  std::optional<std::chrono::nanoseconds> deadline;
  // A policy that decides for here by itself is asked no further: that is no fallback.
  Fallback fallback = Fallback::here;
  // A call at the edge without a result after this is started here as well, on a copy of its
  // arguments and on a thread of the runtime; what ends first is its result, and the other one is
  // cancelled. Not for functions with effects, nor together with Fallback::none.
  std::optional<std::chrono::nanoseconds> hedge;
  // How its images go to an edge. Not for methods of objects.
  ImageCodec images{};
};

}  // namespace aloft
