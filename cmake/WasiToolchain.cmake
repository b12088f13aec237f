# What turns C and C++ into a guest: clang and lld 19 with Debian's wasi-libc and libc++, without a toolchain file, since
# guests are built beside native code in the same project.
#
#   ALOFT_GUEST_CC, ALOFT_GUEST_CXX  the compilers
#   ALOFT_GUEST_SYSROOT              headers and libraries of WASI, and nothing else
#   ALOFT_GUEST_FLAGS                for every guest, C or C++, when compiling
#   ALOFT_GUEST_CXX_FLAGS            besides, for C++
#   ALOFT_GUEST_LINK_FLAGS           when linking; the result is a reactor: its host calls `_initialize` once
#
# The lists are CMake lists. A guest and its native twin compute the same bits: no contraction, no fast-math, no relaxed
# SIMD; whoever compiles the twin passes ALOFT_SAME_BITS_FLAGS.

find_program(ALOFT_GUEST_CC NAMES clang-19 DOC "C compiler for guests")
find_program(ALOFT_GUEST_CXX NAMES clang++-19 DOC "C++ compiler for guests")

# With --sysroot=/usr the compiler would find the headers of the host's libc; a folder of links has those of WASI only.
set(ALOFT_GUEST_SYSROOT ${CMAKE_BINARY_DIR}/wasi-sysroot)
foreach(_folder IN ITEMS include lib)
  if(NOT EXISTS /usr/${_folder}/wasm32-wasi)
    message(FATAL_ERROR "no WASI ${_folder} folder: install wasi-libc and libc++-19-dev-wasm32 (in aloft's own repository: "
      "./dev setup)")
  endif()
  file(MAKE_DIRECTORY ${ALOFT_GUEST_SYSROOT}/${_folder})
  file(CREATE_LINK /usr/${_folder}/wasm32-wasi ${ALOFT_GUEST_SYSROOT}/${_folder}/wasm32-wasi SYMBOLIC)
endforeach()
if(NOT ALOFT_GUEST_CC OR NOT ALOFT_GUEST_CXX)
  message(FATAL_ERROR "no compiler for guests: install clang-19 and lld-19 (in aloft's own repository: ./dev setup)")
endif()

set(ALOFT_SAME_BITS_FLAGS -ffp-contract=off -fno-fast-math)
set(ALOFT_GUEST_FLAGS
  --target=wasm32-wasi --sysroot=${ALOFT_GUEST_SYSROOT}
  -O3 -g1 -msimd128 -mbulk-memory -mnontrapping-fptoint
  ${ALOFT_SAME_BITS_FLAGS})
set(ALOFT_GUEST_CXX_FLAGS -std=c++23 -fno-exceptions -fno-rtti)
# Line tables stay in the module: a trap is reported with the line of the user's source.
set(ALOFT_GUEST_LINK_FLAGS -mexec-model=reactor -Wl,-z,stack-size=65536)
