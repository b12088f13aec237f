// What came of something that a guest was asked to do besides calls, as its thread takes it.
#pragma once

#include <type_traits>
#include <utility>
#include <variant>

#include "runtime/call_failure.h"
#include "runtime/instance.h"
#include <aloft/result.h>

namespace aloft::host {

// Sets `spent` where the guest trapped: its instance is of no more use then.
template <class T>
[[nodiscard]] Result<T> checked(runtime::CallResult<T> result, bool& spent) {
  if (result) {
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return *std::move(result);
    }
  }
  spent |= std::holds_alternative<runtime::Trap>(result.error());
  return std::unexpected(runtime::to_error(result.error()));
}

}  // namespace aloft::host
