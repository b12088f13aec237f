// Hot upgrade: the edges take a new version of a module between two calls.
//
//   open       the new version, beside the one that serves, at every edge that is connected
//   carry      each elastic object and channel that is at an edge to an attachment of the new
//              version there, with its state; what is sent meanwhile waits or is answered by
//              whichever version has it
//   switch     calls of pure functions, at every edge
//   close      the version before, once its last call has ended
//
// Whatever fails before the switch leaves the version before serving: what was carried goes back,
// and the new version is closed. An edge that is not connected takes the new version when it is; if
// it refuses it then, its calls go elsewhere.
//
// The place here has one version, the one that the program was built with: an upgrade changes
// nothing here. Both are asked for by the same signatures and states, which the edge compares
// before it opens the new version.
#pragma once

#include <chrono>

#include "function/elastic_places.h"
#include "function/remote_session.h"
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace aloft::function {

// Blocks, `timeout` at most for each of the first two steps and kGoBack more when the second fails.
// One at a time for each module. `next.version` is one that was never used. Errors: what an edge
// refuses the new version for (not_found, signature_mismatch, corrupt, overloaded, trapped, ...),
// why a state could not be carried, unreachable (no edge is connected), deadline_exceeded.
[[nodiscard]] Result<UpgradeReport> upgrade_module(EndPlaces& places, const ModuleToOpen& next,
                                                   std::chrono::milliseconds timeout);
inline constexpr std::chrono::seconds kGoBack{10};

}  // namespace aloft::function
