// A compiled module's insides. Private to this folder.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "runtime/engine_impl.h"
#include "runtime/module.h"
#include "runtime/wasmtime_handles.h"

namespace aloft::runtime {

struct Module::Impl {
  // Checks every import against what guests get, and links. Errors: refused, naming the import.
  [[nodiscard]] Result<void> link();

  std::shared_ptr<Engine::Impl> engine;
  ModuleHandle module;
  InstancePreHandle pre;
  Digest digest;
  std::optional<Manifest> manifest;
  std::set<std::string, std::less<>> functions;  // exported
  bool exports_memory = false;
};

}  // namespace aloft::runtime
