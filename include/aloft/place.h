// Where the movable end of an elastic object or channel is: this process, or one of the edges that
// the Runtime was given.
#pragma once

#include <chrono>
#include <cstdint>

#include <aloft/result.h>

namespace aloft {

class Location {
 public:
  [[nodiscard]] static constexpr Location here() { return Location(0); }
  // The edge with this index in RuntimeOptions::edges. With RuntimeOptions::cluster, whatever the
  // index, it is where the session is now; of two that are reported it tells one placement from the
  // next.
  [[nodiscard]] static constexpr Location edge(std::uint32_t index = 0) {
    return Location(index + 1);
  }
  [[nodiscard]] constexpr bool is_here() const { return number_ == 0; }
  // 0: here; n: the edge n - 1.
  [[nodiscard]] constexpr std::uint32_t number() const { return number_; }

  friend constexpr bool operator==(Location, Location) = default;

 private:
  explicit constexpr Location(std::uint32_t number) : number_(number) {}
  std::uint32_t number_;
};

// How a move went, and what it cost.
struct MoveReport {
  Location from = Location::here();
  Location to = Location::here();
  bool recovery = false;                // nobody asked for it: the place was lost
  std::chrono::nanoseconds took{};      // from the request to the new place serving
  std::chrono::nanoseconds blackout{};  // in which no place served; 0 without state
  std::uint64_t state_bytes = 0;        // of the whole state
  std::uint64_t copied_bytes = 0;       // in all rounds
};

}  // namespace aloft
