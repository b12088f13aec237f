// For what nobody tells a test of: it looks again and again.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace aloft::testing {

// Whether it became true in time. Be generous: a sanitizer's build on busy processors is far
// slower.
[[nodiscard]] inline bool eventually(std::chrono::milliseconds patience,
                                     const std::function<bool()>& condition) {
  for (const auto end = std::chrono::steady_clock::now() + patience; !condition();) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace aloft::testing
