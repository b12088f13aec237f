# Finds ONNX Runtime: the library that `./dev setup` fetches, or an installed one. The CMake configuration in the official
# release archive points at folders that the archive does not have, hence this module.
#
#   ONNXRUNTIME_ROOT           (variable or environment) folder with include/ and lib/, such as an unpacked release
#                              archive; else build/deps/onnxruntime, where `./dev setup` puts its own
#   ONNXRuntime::onnxruntime   the target to link to
#   ONNXRuntime_API_VERSION    the newest C API that the headers describe

set(ONNXRUNTIME_ROOT "$ENV{ONNXRUNTIME_ROOT}" CACHE PATH "Folder of an installed ONNX Runtime")
# What an earlier run found elsewhere does not count once a folder is named.
cmake_path(IS_PREFIX ONNXRUNTIME_ROOT "${ONNXRuntime_LIBRARY}" _onnxruntime_is_there)
if(ONNXRUNTIME_ROOT AND NOT _onnxruntime_is_there)
  unset(ONNXRuntime_INCLUDE_DIR CACHE)
  unset(ONNXRuntime_LIBRARY CACHE)
endif()
if(ONNXRUNTIME_ROOT)
  set(_onnxruntime_where HINTS ${ONNXRUNTIME_ROOT} NO_DEFAULT_PATH)
else()
  set(_onnxruntime_where HINTS ${PROJECT_SOURCE_DIR}/build/deps/onnxruntime)
endif()
find_path(ONNXRuntime_INCLUDE_DIR onnxruntime_c_api.h
  PATH_SUFFIXES include include/onnxruntime include/onnxruntime/core/session ${_onnxruntime_where})
find_library(ONNXRuntime_LIBRARY onnxruntime PATH_SUFFIXES lib ${_onnxruntime_where})
mark_as_advanced(ONNXRuntime_INCLUDE_DIR ONNXRuntime_LIBRARY)

if(ONNXRuntime_INCLUDE_DIR)
  file(STRINGS ${ONNXRuntime_INCLUDE_DIR}/onnxruntime_c_api.h _onnxruntime_api REGEX "#define ORT_API_VERSION ")
  string(REGEX MATCH "[0-9]+" ONNXRuntime_API_VERSION "${_onnxruntime_api}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ONNXRuntime
  REQUIRED_VARS ONNXRuntime_LIBRARY ONNXRuntime_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run ./dev setup, or pass -DONNXRUNTIME_ROOT=FOLDER of an installed one")

if(ONNXRuntime_FOUND AND NOT TARGET ONNXRuntime::onnxruntime)
  add_library(ONNXRuntime::onnxruntime UNKNOWN IMPORTED)
  set_target_properties(ONNXRuntime::onnxruntime PROPERTIES
    IMPORTED_LOCATION ${ONNXRuntime_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${ONNXRuntime_INCLUDE_DIR})
endif()
