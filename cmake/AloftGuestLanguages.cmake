# Guests in other languages than C++, built with the SDKs under guest/. docs/languages.md says what a guest contains.
#
#   aloft_c_guest(NAME SOURCES file... [INCLUDE_DIRECTORIES folder...])
#
# gives a target NAME that builds the guest, and sets ALOFT_GUEST_FILE to the file: for aloft_add_foreign_module().

include_guard(GLOBAL)

function(aloft_c_guest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;INCLUDE_DIRECTORIES")
  get_property(root GLOBAL PROPERTY ALOFT_MODULE_ROOT)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.guest)
  set(file ${folder}/guest.wasm)
  file(MAKE_DIRECTORY ${folder})
  set(flags -I${root}/guest/c/include)
  foreach(include IN LISTS arg_INCLUDE_DIRECTORIES)
    cmake_path(ABSOLUTE_PATH include NORMALIZE)
    list(APPEND flags -I${include})
  endforeach()
  set(objects)
  foreach(source IN LISTS arg_SOURCES ITEMS ${root}/guest/c/aloft_guest.c)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    cmake_path(GET source FILENAME object)
    set(object ${folder}/${object}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${ALOFT_GUEST_CC} -std=c23 ${ALOFT_GUEST_FLAGS} -Wall -Wextra -ffunction-sections -fdebug-compilation-dir=.
        -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${root}/= -ffile-prefix-map=${ALOFT_GUEST_SYSROOT}/=
        ${flags} -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source}
      DEPFILE ${object}.d
      COMMENT "Compiling the C guest ${name}"
      VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  # The stack lies below the data: running out of it traps, and does not write over the data.
  add_custom_command(OUTPUT ${file}
    COMMAND ${ALOFT_GUEST_CC} --target=wasm32-wasi --sysroot=${ALOFT_GUEST_SYSROOT} ${ALOFT_GUEST_LINK_FLAGS}
      -Wl,--stack-first -Wl,-z,stack-size=1048576 ${objects} -o ${file}
    DEPENDS ${objects}
    COMMENT "Linking the C guest ${name}"
    VERBATIM)
  add_custom_target(${name} DEPENDS ${file})
  set(ALOFT_GUEST_FILE ${file} PARENT_SCOPE)
endfunction()
