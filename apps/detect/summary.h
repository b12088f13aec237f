// The last words of a run: what report.json says, in a few lines.
#pragma once

#include <filesystem>
#include <string>

#include "report.h"

namespace detect {

// Several lines, without a line end after the last.
[[nodiscard]] std::string summary(const Report& report, const std::filesystem::path& folder);

}  // namespace detect
