// The application's side of the edge: the runtime it makes, and whether an edge is there.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "options.h"
#include "status_line.h"
#include <aloft/policy.h>
#include <aloft/result.h>
#include <aloft/runtime.h>

namespace detect {

inline constexpr std::string_view kDetectorGraph =
    "detector";  // the name of detect_object's aloft::nn::Graph

// What decides, frame by frame, as the options ask for it. Not null.
[[nodiscard]] std::shared_ptr<aloft::Policy> policy_of(const Options& options);

// A runtime bound to the elastic functions of this program, which decides by `policy`.
// `status` gets what the runtime has to say and outlives it.
[[nodiscard]] aloft::Result<std::unique_ptr<aloft::Runtime>> make_runtime(
    const Options& options, std::shared_ptr<aloft::Policy> policy, StatusLine& status);

// Waits for the edge, if there is to be one. An edge that is not there is an error with --place
// remote, and a message otherwise: everything runs here until it comes. One that is there and
// refuses is an error.
[[nodiscard]] aloft::Result<void> connect(aloft::Runtime& runtime, const Options& options,
                                          StatusLine& status);

// For the report: who may see the frames on their way. Empty without an edge.
[[nodiscard]] std::string edge_security(const Options& options);

}  // namespace detect
