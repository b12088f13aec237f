// Is the given file a detector that this application can use: said before anything starts, in words
// that help.
#pragma once

#include <filesystem>

#include <aloft/result.h>

namespace detect {

// Loads the model once to look at it. Errors name the file: not_found (no such model), corrupt
// (truncated, not ONNX), refused (external data, operators that the engine lacks), invalid_argument
// (other shapes than 1x3x640x640 -> 1x84x8400; says which were found).
[[nodiscard]] aloft::Result<void> check_model(const std::filesystem::path& model);

}  // namespace detect
