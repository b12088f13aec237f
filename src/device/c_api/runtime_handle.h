// What stands behind aloft_runtime: the runtime, the functions that can be called by name, and the
// counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device/c_api/bytes_call.h"
#include "device/c_api/handles.h"
#include "device/c_api/loaded_module.h"
#include <aloft/call_record.h>
#include <aloft/detail/binding.h>
#include <aloft/detail/object_link.h>
#include <aloft/place.h>
#include <aloft/runtime.h>

namespace aloft::c_api {

struct CallCounts {
  std::atomic<std::uint64_t> here = 0;
  std::atomic<std::uint64_t> at_edge = 0;
  std::atomic<std::uint64_t> fell_back = 0;
  std::atomic<std::uint64_t> failed = 0;

  void count(const CallRecord& record);
};

// The claim to be the one runtime of this interface in the process, which the binding is for.
class OneRuntime {
 public:
  [[nodiscard]] static Result<OneRuntime> claim();
  OneRuntime(OneRuntime&& other) noexcept : held_(std::exchange(other.held_, false)) {}
  OneRuntime& operator=(OneRuntime&&) = delete;
  ~OneRuntime();

 private:
  OneRuntime() : held_(true) {}
  bool held_;
};

}  // namespace aloft::c_api

struct aloft_runtime {
  // Destroyed from the last to the first: the runtime before the modules that it has open.
  aloft::c_api::OneRuntime one;
  std::vector<std::shared_ptr<aloft::c_api::LoadedModule>> modules;
  std::vector<std::unique_ptr<aloft::detail::ModuleRegistration>> registrations;
  std::map<std::string, aloft::c_api::Target, std::less<>> targets;
  aloft::c_api::CallCounts counts;
  std::unique_ptr<aloft::Runtime> runtime;

  explicit aloft_runtime(aloft::c_api::OneRuntime claimed) : one(std::move(claimed)) {}
};

namespace aloft::c_api {

// Errors: not_found, which says what there is; invalid_argument (a method: `instead` is what to
// use).
[[nodiscard]] Result<const Target*> find_function(const aloft_runtime& runtime, const char* name,
                                                  const char* instead);
// Errors: not_found; invalid_argument (a function, or a method of another class).
[[nodiscard]] Result<const Target*> find_method(const aloft_runtime& runtime,
                                                const detail::ObjectClass& object_class,
                                                const char* name);

// ALOFT_HERE or an edge's number. Errors: invalid_argument (the runtime has no such place).
[[nodiscard]] Result<Location> place_of(std::int32_t number, const aloft_runtime& runtime);

}  // namespace aloft::c_api
