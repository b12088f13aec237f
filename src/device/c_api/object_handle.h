// What stands behind aloft_object: a state without native code, and its link to the runtime.
#pragma once

#include <memory>
#include <utility>

#include "device/c_api/loaded_module.h"
#include "device/c_api/runtime_handle.h"
#include <aloft/detail/object_link.h>

struct aloft_object {
  // Destroyed from the last to the first: the link waits for what runs.
  std::shared_ptr<aloft::c_api::LoadedModule> module;
  aloft::c_api::Vessel vessel;
  aloft::detail::ObjectLink link;
  aloft::detail::CalledObject called;
  aloft_runtime* runtime = nullptr;

  aloft_object(std::shared_ptr<aloft::c_api::LoadedModule> its_module,
               const aloft::detail::ObjectClass& its_class, aloft::c_api::Bytes state,
               aloft_runtime& its_runtime)
      : module(std::move(its_module)),
        vessel(std::move(state)),
        called{&link, &its_class, &vessel},
        runtime(&its_runtime) {}
};
