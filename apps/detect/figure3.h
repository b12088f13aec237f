// figure3.png: the paper's Figure 3 from what this run measured, drawn by gnuplot.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "measurements.h"
#include <aloft/result.h>

namespace detect {

// Four curves over the frame number (frames/s, UE CPU, UE temperature or the words "no sensor",
// network data), remote spans shaded. Leaves the script beside the picture (figure3.gp and
// figure3.dat), so that anyone can draw it again. `edge_note` is printed under the title, e.g. how
// the edge was secured. Errors: not_found when gnuplot is missing.
[[nodiscard]] aloft::Result<void> draw_figure3(std::span<const FrameRow> rows,
                                               const std::filesystem::path& folder,
                                               const std::string& edge_note);

// The script alone, for a picture of `rows` whose numbers are in figure3.dat.
[[nodiscard]] std::string figure3_script(std::span<const FrameRow> rows,
                                         const std::string& edge_note);

}  // namespace detect
