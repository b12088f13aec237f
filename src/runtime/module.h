// A compiled module: checked, linked to the host functions, ready to be instantiated any number of
// times.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "base/digest.h"
#include "runtime/manifest.h"
#include <aloft/result.h>

namespace aloft::runtime {

// Thread rule: immutable, any thread. Made by Engine::load.
class Module {
 public:
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  [[nodiscard]] const Digest& digest() const;  // SHA-256 of the file
  // None for a guest that aloft-cc did not make.
  [[nodiscard]] const std::optional<Manifest>& manifest() const;
  [[nodiscard]] bool exports_function(std::string_view name) const;
  // Whether it is a module of guest ABI 1 that has all functions of its manifest. Errors: corrupt,
  // naming the export that is missing; version_mismatch when it is made for another ABI.
  [[nodiscard]] Result<void> check_abi() const;

  struct Impl;
  explicit Module(std::unique_ptr<Impl> impl);
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace aloft::runtime
