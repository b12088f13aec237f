# Guests in other languages than C++, built with the SDKs under guest/. docs/languages.md says what a guest contains.
#
#   aloft_c_guest(NAME SOURCES file... [INCLUDE_DIRECTORIES folder...] [SCALAR])
#   aloft_rust_guest(NAME ROOT file.rs [DEPENDS file...])
#   aloft_go_guest(NAME PACKAGE folder)
#   aloft_assemblyscript_guest(NAME ENTRY file.ts)
#
# (SCALAR: without SIMD, which a module with a home needs)
#
# each give a target NAME that builds the guest, and set ALOFT_GUEST_FILE to the file: for aloft_add_foreign_module().
# AloftGuestCompilers.cmake finds the compilers.

# Whoever includes this has included AloftModule.cmake.

include_guard(GLOBAL)

foreach(_name IN ITEMS ALOFT_GUEST_CC ALOFT_GUEST_FLAGS)
  set_property(GLOBAL PROPERTY ALOFT_MODULE_${_name} "${${_name}}")
endforeach()

include(${CMAKE_CURRENT_LIST_DIR}/AloftGuestCompilers.cmake)

# What every function here begins with: `root` of aloft, `folder` of the guest, and `file` that it will be.
macro(_aloft_guest_folder name)
  get_property(root GLOBAL PROPERTY ALOFT_MODULE_ROOT)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.guest)
  set(file ${folder}/guest.wasm)
  file(MAKE_DIRECTORY ${folder})
endmacro()

# Says which files the guest in `folder` is made of: `aloft dev` builds a module alone when no others have changed.
function(_aloft_guest_sources folder)
  list(JOIN ARGN "\n" lines)
  file(CONFIGURE OUTPUT ${folder}/guest.sources.txt CONTENT "${lines}\n" @ONLY)
endfunction()

# What every function here ends with: the target that makes `file`, of which its caller is told.
macro(_aloft_guest_target name)
  add_custom_target(${name} DEPENDS ${file})
  set(ALOFT_GUEST_FILE ${file} PARENT_SCOPE)
endmacro()

function(aloft_c_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SCALAR" "" "SOURCES;INCLUDE_DIRECTORIES")
  _aloft_guest_folder(${name})
  get_property(guest_cc GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_CC)
  get_property(guest_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_FLAGS)
  get_property(sysroot GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_SYSROOT)
  get_property(link_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_LINK_FLAGS)
  set(flags -I${root}/guest/c/include)
  if(arg_SCALAR)
    list(REMOVE_ITEM guest_flags -msimd128)
  endif()
  foreach(include IN LISTS arg_INCLUDE_DIRECTORIES)
    cmake_path(ABSOLUTE_PATH include NORMALIZE)
    list(APPEND flags -I${include})
  endforeach()
  set(sources ${arg_SOURCES})
  list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")
  _aloft_guest_sources(${folder} ${sources})
  set(objects)
  set(sdk aloft_guest.c aloft_codec.c aloft_message.c)
  list(TRANSFORM sdk PREPEND ${root}/guest/c/)
  foreach(source IN LISTS arg_SOURCES sdk)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    cmake_path(GET source FILENAME object)
    set(object ${folder}/${object}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${guest_cc} -std=c23 ${guest_flags} -Wall -Wextra -ffunction-sections -fdebug-compilation-dir=.
        -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${root}/= -ffile-prefix-map=${sysroot}/=
        ${flags} -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source}
      DEPFILE ${object}.d
      COMMENT "Compiling the C guest ${name}"
      VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  # The stack lies below the data: running out of it traps, and does not write over the data.
  add_custom_command(OUTPUT ${file}
    COMMAND ${guest_cc} --target=wasm32-wasi --sysroot=${sysroot} ${link_flags}
      -Wl,--stack-first -Wl,-z,stack-size=1048576 ${objects} -o ${file}
    DEPENDS ${objects}
    COMMENT "Linking the C guest ${name}"
    VERBATIM)
  _aloft_guest_target(${name})
endfunction()

function(aloft_rust_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ROOT" "DEPENDS")
  _aloft_guest_folder(${name})
  cmake_path(ABSOLUTE_PATH arg_ROOT NORMALIZE)
  aloft_guest_compiler(rust rustc)
  _aloft_guest_sources(${folder} ${arg_ROOT} ${arg_DEPENDS})
  file(GLOB sdk CONFIGURE_DEPENDS ${root}/guest/rust/src/*.rs)
  set(flags --edition 2021 -C opt-level=3 -C strip=debuginfo --remap-path-prefix ${root}/=
    --remap-path-prefix ${CMAKE_SOURCE_DIR}/=)
  set(library ${folder}/libaloft_guest.rlib)
  add_custom_command(OUTPUT ${library}
    COMMAND ${rustc} ${flags} --crate-type rlib --crate-name aloft_guest ${root}/guest/rust/src/lib.rs -o ${library}
    DEPENDS ${sdk}
    COMMENT "Compiling the guest SDK for Rust"
    VERBATIM)
  add_custom_command(OUTPUT ${file}
    COMMAND ${rustc} ${flags} --crate-type cdylib --crate-name guest --extern aloft_guest=${library} ${arg_ROOT}
      -o ${file}
    DEPENDS ${arg_ROOT} ${arg_DEPENDS} ${library}
    COMMENT "Compiling the Rust guest ${name}"
    VERBATIM)
  _aloft_guest_target(${name})
endfunction()

function(aloft_go_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PACKAGE" "")
  _aloft_guest_folder(${name})
  cmake_path(ABSOLUTE_PATH arg_PACKAGE NORMALIZE)
  file(GLOB sources CONFIGURE_DEPENDS ${root}/guest/go/*.go ${root}/guest/go/go.mod ${arg_PACKAGE}/*.go ${arg_PACKAGE}/go.mod)
  aloft_guest_compiler(go go)
  _aloft_guest_sources(${folder} ${sources})
  # The package's go.mod, with where the SDK is, unless it says so itself.
  file(READ ${arg_PACKAGE}/go.mod mod)
  if(NOT mod MATCHES "replace[ \t]+aloft[ \t]")
    string(APPEND mod "\nreplace aloft => ${root}/guest/go\n")
  endif()
  file(CONFIGURE OUTPUT ${folder}/go.mod CONTENT "${mod}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${arg_PACKAGE}/go.mod)
  # `-C` must be the first flag.
  add_custom_command(OUTPUT ${file}
    COMMAND ${go} build -C ${arg_PACKAGE} -modfile=${folder}/go.mod -mod=mod -trimpath -buildvcs=false -ldflags=-s -buildmode=c-shared -o ${file} .
    DEPENDS ${sources}
    COMMENT "Compiling the Go guest ${name}"
    VERBATIM)
  _aloft_guest_target(${name})
endfunction()

function(aloft_assemblyscript_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "ENTRY" "")
  _aloft_guest_folder(${name})
  cmake_path(ABSOLUTE_PATH arg_ENTRY NORMALIZE)
  cmake_path(GET arg_ENTRY PARENT_PATH beside)
  file(GLOB sources CONFIGURE_DEPENDS ${root}/guest/assemblyscript/*.ts ${beside}/*.ts)
  aloft_guest_compiler(assemblyscript asc)
  _aloft_guest_sources(${folder} ${sources})
  # Names in the module begin where the compiler does. asc looks for a --lib below its own folder, even an absolute one.
  cmake_path(RELATIVE_PATH arg_ENTRY BASE_DIRECTORY ${root} OUTPUT_VARIABLE entry)
  add_custom_command(OUTPUT ${file}
    COMMAND ${asc} ${entry} --path guest --lib guest/assemblyscript/global
      -O3 --runtime incremental --exportStart _initialize --use abort=aloftAbort -o ${file}
    WORKING_DIRECTORY ${root}
    DEPENDS ${sources}
    COMMENT "Compiling the AssemblyScript guest ${name}"
    VERBATIM)
  _aloft_guest_target(${name})
endfunction()
