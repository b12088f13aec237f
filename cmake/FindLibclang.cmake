# Finds libclang 19, the C interface to the compiler that reads C++ sources: target Libclang::libclang.
# An older one returns no arguments of annotations.
#
#   LIBCLANG_ROOT          folder with include/ and lib/; else LLVM 19 as Debian installs it
#   Libclang_RESOURCE_DIR  the compiler's own headers, to be passed as -resource-dir

find_path(Libclang_INCLUDE_DIR clang-c/Index.h
  HINTS ${LIBCLANG_ROOT} /usr/lib/llvm-19 PATH_SUFFIXES include NO_DEFAULT_PATH)
find_library(Libclang_LIBRARY NAMES clang-19 clang
  HINTS ${LIBCLANG_ROOT} /usr/lib/llvm-19 PATH_SUFFIXES lib NO_DEFAULT_PATH)
find_path(Libclang_RESOURCE_DIR include/stddef.h
  HINTS ${LIBCLANG_ROOT} /usr/lib/llvm-19 PATH_SUFFIXES lib/clang/19 NO_DEFAULT_PATH)
mark_as_advanced(Libclang_INCLUDE_DIR Libclang_LIBRARY Libclang_RESOURCE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Libclang
  REQUIRED_VARS Libclang_LIBRARY Libclang_INCLUDE_DIR Libclang_RESOURCE_DIR
  REASON_FAILURE_MESSAGE "run ./dev setup, or install libclang-19-dev")

if(Libclang_FOUND AND NOT TARGET Libclang::libclang)
  add_library(Libclang::libclang UNKNOWN IMPORTED)
  set_target_properties(Libclang::libclang PROPERTIES
    IMPORTED_LOCATION ${Libclang_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Libclang_INCLUDE_DIR})
endif()
