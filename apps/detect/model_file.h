// The bytes of a model.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include <aloft/result.h>

namespace detect {

// Errors: not_found, saying which file.
[[nodiscard]] aloft::Result<std::vector<std::byte>> read_model(const std::filesystem::path& model);

}  // namespace detect
