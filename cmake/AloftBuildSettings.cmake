# How aloft's own code is compiled. Nothing here reaches a project that uses aloft: flags that are global are set only
# where aloft is the top-level project, warnings only on aloft's own targets.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
  endif()
  # Line tables are enough for a stack trace, and keep the objects small.
  set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O3 -g1 -DNDEBUG")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O3 -g1 -DNDEBUG")

  find_program(ALOFT_CCACHE ccache)
  if(ALOFT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_C_COMPILER_LAUNCHER ${ALOFT_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${ALOFT_CCACHE})
  endif()

  # Paths in messages and debug information start at the repository, wherever it lies.
  add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)

  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$" AND ALOFT_MARCH)
    add_compile_options(-march=${ALOFT_MARCH})
  endif()

  # The Rust library brings far more functions than are called.
  add_link_options(-Wl,--gc-sections -Wl,--as-needed)

  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    find_program(ALOFT_LLD NAMES ld.lld-19 ld.lld)
    if(ALOFT_LLD)
      add_link_options(-fuse-ld=lld)
    endif()
  endif()

  if(ALOFT_SANITIZE)
    add_compile_options(-fsanitize=${ALOFT_SANITIZE} -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${ALOFT_SANITIZE})
    if(ALOFT_SANITIZE MATCHES "undefined")
      add_compile_options(-fno-sanitize-recover=undefined)
    endif()
    add_compile_definitions(_GLIBCXX_ASSERTIONS)
  endif()

  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endif()

add_library(aloft_warnings INTERFACE)
target_compile_options(aloft_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -Wnon-virtual-dtor -Woverloaded-virtual)
if(ALOFT_WERROR)
  target_compile_options(aloft_warnings INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # These follow values through inlined library code and are wrong there too often to stop a build.
  target_compile_options(aloft_warnings INTERFACE -Wno-error=maybe-uninitialized -Wno-error=array-bounds
    -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=restrict)
endif()
