// What stands behind the opaque types of <aloft/aloft.h>, and the one way out of its functions: a
// body that may throw what the C++ library throws (no memory) becomes a code and a text.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/c_api/loaded_module.h"
#include <aloft/aloft.h>
#include <aloft/call_record.h>
#include <aloft/place.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

struct aloft_error {
  aloft::Error error;
};

struct aloft_module {
  std::shared_ptr<aloft::c_api::LoadedModule> module;
};

struct aloft_options {
  aloft::RuntimeOptions runtime;
  std::vector<std::shared_ptr<aloft::c_api::LoadedModule>> modules;
  // The first thing that was wrong with what was set.
  std::optional<aloft::Error> defect;

  aloft_options() { runtime.policy = aloft::remote_policy(); }
};

struct aloft_result {
  std::vector<std::byte> bytes;
  aloft::CallRecord record;
  std::string reason;
};

struct aloft_reply {
  aloft::Result<std::vector<std::byte>> answer =
      aloft::fail(aloft::Errc::internal, "the native function did not answer");
};

namespace aloft::c_api {

// The code, and the text where somebody wants it. Without memory for the text, the code alone.
inline aloft_code tell(aloft_error** error, Error why) noexcept {
  const auto code = static_cast<aloft_code>(why.code);
  if (error != nullptr) *error = new (std::nothrow) aloft_error{std::move(why)};
  return code;
}

// Runs `body`, which answers a Result<void>.
template <class Body>
aloft_code guarded(aloft_error** error, const Body& body) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    Result<void> done = body();
    return done ? ALOFT_OK : tell(error, std::move(done.error()));
  } catch (const std::bad_alloc&) {
    return tell(error, Error{Errc::resource_exhausted, {}});
  } catch (const std::exception& other) {
    return tell(error, Error{Errc::internal, other.what()});
  } catch (...) {
    return tell(error, Error{Errc::internal, {}});
  }
}

[[nodiscard]] inline std::unexpected<Error> is_null(const char* what) {
  return fail(Errc::invalid_argument, std::string(what) + " is NULL");
}

// ALOFT_HERE, or the number of an edge.
[[nodiscard]] constexpr std::int32_t number_of(Location place) {
  return static_cast<std::int32_t>(place.number()) - 1;
}

[[nodiscard]] inline std::span<const std::byte> bytes_of(const uint8_t* data, size_t size) {
  return data == nullptr ? std::span<const std::byte>()
                         : std::as_bytes(std::span<const uint8_t>(data, size));
}

}  // namespace aloft::c_api
