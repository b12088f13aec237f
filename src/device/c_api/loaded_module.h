// A module that is no part of the program: read from its file, it looks to the runtime like one
// that aloft-cc compiled in, but for the native code. Its functions have none, unless the program
// gives one; its objects are vessels, which hold a state and run nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/manifest.h"
#include <aloft/detail/binding.h>
#include <aloft/detail/object_link.h>
#include <aloft/result.h>

namespace aloft::c_api {

using Bytes = std::vector<std::byte>;
// A function's native version, on encoded arguments.
using Native = std::function<Result<Bytes>(std::span<const std::byte> arguments)>;

// The state of an object whose class has no native code, as it was when it was here last. Thread
// rule: one thread at a time, which the runtime sees to; state() from any.
class Vessel final {
 public:
  explicit Vessel(Bytes state) : state_(std::make_shared<const Bytes>(std::move(state))) {}

  [[nodiscard]] std::shared_ptr<const Bytes> state() const { return state_.load(); }
  void keep(Bytes state) { state_.store(std::make_shared<const Bytes>(std::move(state))); }

 private:
  std::atomic<std::shared_ptr<const Bytes>> state_;
};

// Neither copied nor moved: descriptors point at each other. Thread rule: set_native() and
// use_natives() from one thread at a time; the rest from any.
class LoadedModule {
 public:
  // Errors: not_found, corrupt, invalid_argument (no manifest).
  [[nodiscard]] static Result<std::shared_ptr<LoadedModule>> read(const std::string& file);
  LoadedModule(const LoadedModule&) = delete;
  LoadedModule& operator=(const LoadedModule&) = delete;

  [[nodiscard]] const ModuleDescriptor& descriptor() const { return descriptor_; }
  [[nodiscard]] const runtime::Manifest& manifest() const { return manifest_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }
  // Null: it has no such class.
  [[nodiscard]] const detail::ObjectClass* find_class(std::string_view name) const;

  // For what uses the module from the next use_natives() on. Errors: invalid_argument (no such
  // function, or a method).
  [[nodiscard]] Result<void> set_native(std::string_view function, Native native);
  // Gives the descriptors the natives that were set, while no runtime has the module.
  void use_natives();

 private:
  LoadedModule(runtime::Manifest manifest, std::string digest);

  const runtime::Manifest manifest_;
  const std::string digest_;
  std::vector<std::string_view> graphs_;
  std::vector<detail::ObjectClass> classes_;
  std::vector<FunctionDescriptor> functions_;
  ModuleDescriptor descriptor_;
  std::map<std::string, Native, std::less<>> natives_;  // as they were set, by qualified name
  std::map<std::string, Native, std::less<>> in_use_;   // those that the descriptors run
};

}  // namespace aloft::c_api
