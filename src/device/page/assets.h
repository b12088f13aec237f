// The files of the live page, as they stand in web/page/ and as uPlot comes; part of the program.
#pragma once

#include <string_view>

namespace aloft::device::assets {

extern const std::string_view index_html;
extern const std::string_view page_css;
extern const std::string_view page_js;
extern const std::string_view uplot_css;
extern const std::string_view uplot_js;

}  // namespace aloft::device::assets
