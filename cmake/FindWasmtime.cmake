# Finds Wasmtime's C API: the library that `./dev setup` builds from third_party/wasmtime, or an installed one.
#
#   WASMTIME_ROOT        (variable or environment) folder with include/ and lib/; else build/deps/wasmtime, where
#                        `./dev setup` puts its own
#   Wasmtime::wasmtime   the target to link to
#   Wasmtime_VERSION
#
# An installed Wasmtime lacks aloft_wasmtime.h, what third_party/wasmtime adds; code asks with `__has_include`.

set(WASMTIME_ROOT "$ENV{WASMTIME_ROOT}" CACHE PATH "Folder of an installed Wasmtime C API")
# What an earlier run found elsewhere does not count once a folder is named.
cmake_path(IS_PREFIX WASMTIME_ROOT "${Wasmtime_LIBRARY}" _wasmtime_is_there)
if(WASMTIME_ROOT AND NOT _wasmtime_is_there)
  unset(Wasmtime_INCLUDE_DIR CACHE)
  unset(Wasmtime_LIBRARY CACHE)
endif()
if(WASMTIME_ROOT)
  set(_wasmtime_where HINTS ${WASMTIME_ROOT} NO_DEFAULT_PATH)
else()
  set(_wasmtime_where HINTS ${PROJECT_SOURCE_DIR}/build/deps/wasmtime)
endif()
find_path(Wasmtime_INCLUDE_DIR wasmtime.h PATH_SUFFIXES include ${_wasmtime_where})
find_library(Wasmtime_LIBRARY NAMES aloft_wasmtime wasmtime PATH_SUFFIXES lib ${_wasmtime_where})
mark_as_advanced(Wasmtime_INCLUDE_DIR Wasmtime_LIBRARY)

if(Wasmtime_INCLUDE_DIR)
  file(STRINGS ${Wasmtime_INCLUDE_DIR}/wasmtime.h _wasmtime_version REGEX "#define WASMTIME_VERSION ")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" Wasmtime_VERSION "${_wasmtime_version}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Wasmtime
  REQUIRED_VARS Wasmtime_LIBRARY Wasmtime_INCLUDE_DIR
  VERSION_VAR Wasmtime_VERSION
  REASON_FAILURE_MESSAGE "run ./dev setup, or pass -DWASMTIME_ROOT=FOLDER of an installed one")

if(Wasmtime_FOUND AND NOT TARGET Wasmtime::wasmtime)
  find_package(Threads REQUIRED)
  add_library(Wasmtime::wasmtime UNKNOWN IMPORTED)
  set_target_properties(Wasmtime::wasmtime PROPERTIES
    IMPORTED_LOCATION ${Wasmtime_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Wasmtime_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m")
endif()
