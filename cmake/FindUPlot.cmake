# Finds uPlot, which draws the curves of the live page: what `./dev setup` fetches, or a folder of the user's.
#
#   UPLOT_ROOT      folder with uPlot.iife.min.js and uPlot.min.css; else build/deps/uplot
#   UPLOT_SCRIPT    the two files, as a browser loads them
#   UPLOT_STYLE

set(UPLOT_ROOT ${PROJECT_SOURCE_DIR}/build/deps/uplot CACHE PATH "Folder with uPlot.iife.min.js and uPlot.min.css")
find_file(UPLOT_SCRIPT uPlot.iife.min.js HINTS ${UPLOT_ROOT} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
find_file(UPLOT_STYLE uPlot.min.css HINTS ${UPLOT_ROOT} NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
mark_as_advanced(UPLOT_SCRIPT UPLOT_STYLE)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(UPlot
  REQUIRED_VARS UPLOT_SCRIPT UPLOT_STYLE
  REASON_FAILURE_MESSAGE "run ./dev setup, or pass -DUPLOT_ROOT=FOLDER of its files")
