// Pictures of a comparison, drawn by gnuplot; the scripts and numbers stay beside them.
#pragma once

#include <filesystem>
#include <span>

#include "comparison.h"
#include <aloft/result.h>

namespace aloft::bench {

// overview.png: each policy's mean latency as a multiple of the oracle's, a panel a function.
// Errors: refused (the folder cannot be written), not_found (no gnuplot), internal.
[[nodiscard]] Result<void> draw_overview(std::span<const Comparison> comparisons,
                                         const std::filesystem::path& folder);

// TRACE-FUNCTION.png: what the first `frames` frames cost in either place, what min_latency
// made of them, and where it and the oracle were.
[[nodiscard]] Result<void> draw_timeline(const Trace& trace, const Workload& workload,
                                         std::size_t frames, std::uint64_t seed,
                                         const std::filesystem::path& folder);

}  // namespace aloft::bench
