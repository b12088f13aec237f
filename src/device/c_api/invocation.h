// How a call is to be made, as aloft_call_options say, and making it.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

#include "device/c_api/bytes_call.h"
#include "device/c_api/handles.h"
#include "device/c_api/runtime_handle.h"
#include <aloft/aloft.h>
#include <aloft/function.h>

namespace aloft::c_api {

struct Wanted {
  bool at_any_edge = false;  // else by the place, else by the policy
  std::optional<Location> place;
  std::optional<std::chrono::nanoseconds> deadline;
};

// Errors: invalid_argument.
[[nodiscard]] Result<Wanted> wanted_of(const aloft_call_options* options, const Target& target,
                                       const aloft_runtime& runtime);

// The scopes of a call, on this thread.
class Scopes {
 public:
  explicit Scopes(const Wanted& wanted) {
    if (wanted.at_any_edge) {
      place_.emplace(Place::edge);
    } else if (wanted.place) {
      place_.emplace(*wanted.place);
    }
    if (wanted.deadline) deadline_.emplace(*wanted.deadline);
  }

 private:
  std::optional<PlaceScope> place_;
  std::optional<DeadlineScope> deadline_;
};

// Makes the caller's aloft_result of a call that has ended. Errors: the call's.
[[nodiscard]] Result<void> give(BytesCall& call, aloft_result** result);
// Runs it to its end, on this thread, in the scopes that are open.
[[nodiscard]] Result<void> run(const Target& target, std::span<const std::byte> arguments,
                               aloft_result** result);

}  // namespace aloft::c_api
