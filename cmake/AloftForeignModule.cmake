# Elastic modules whose guest is made in another language than C++. docs/languages.md describes how to write one.
#
#   aloft_add_foreign_module(detect
#     INTERFACE detect.h                           declares its functions and classes, tagged as those of a C++ module are
#     GUEST guest/detect.wasm                      what the other tool chain made
#     [DEPENDS target...]                          that make it
#     [INCLUDE_DIRECTORIES folder...]              for the interface
#     [HOME]                                       calls run on the device as well: the guest is translated to C and linked in
#     [NAME name])                                 of the module, if it is not the target's
#
# gives what aloft_add_module() gives: the library `detect` to link to, with "detect.aloft.h", and modules/detect.wasm of the
# build folder, sealed with the manifest that the interface says. Without HOME there is no version for the device: calls run at
# an edge only. HOME takes wasm2c (package wabt of Debian 12), and a project with C among its languages.

# Whoever includes this has included AloftModule.cmake.

include_guard(GLOBAL)

find_program(ALOFT_WASM2C wasm2c DOC "Translates guests to C, for modules that have a home")
find_program(ALOFT_WASM_VALIDATE wasm-validate DOC "Says what in a guest wasm2c does not know")
mark_as_advanced(ALOFT_WASM2C ALOFT_WASM_VALIDATE)
set_property(GLOBAL PROPERTY ALOFT_MODULE_TRANSLATE_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/translate_guest.cmake)

# What can be wrong with HOME, said before anything is built.
function(_aloft_check_home name)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages)
    message(FATAL_ERROR "aloft_add_foreign_module(${name}): HOME compiles C: project(... LANGUAGES C CXX)")
  endif()
  set(version none)
  if(ALOFT_WASM2C AND ALOFT_WASM_VALIDATE)
    execute_process(COMMAND ${ALOFT_WASM2C} --version OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  # Each version writes C for a run-time system of its own; aloft has that of this one.
  if(NOT version STREQUAL "1.0.32")
    message(FATAL_ERROR "aloft_add_foreign_module(${name}): HOME takes wasm2c 1.0.32, found: ${version}; install Debian 12's "
      "package wabt, or leave HOME out: calls then run at an edge only")
  endif()
endfunction()

# The library `name` gets the guest in `module_file` as its version for this machine.
function(_aloft_add_home name module module_file folder root)
  get_property(script GLOBAL PROPERTY ALOFT_MODULE_TRANSLATE_SCRIPT)
  get_property(same_bits_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_SAME_BITS_FLAGS)
  set(translated ${folder}/${module}.translated.c)
  set(header ${folder}/${module}.translated.h)
  set(home ${folder}/${module}.home.c)
  add_custom_command(OUTPUT ${home} ${translated} ${header}
    COMMAND ${CMAKE_COMMAND} -DWASM2C=${ALOFT_WASM2C} -DVALIDATE=${ALOFT_WASM_VALIDATE} -DMODULE=${module}
      -DGUEST=${module_file} -DOUT=${translated} -P ${script}
    COMMAND $<TARGET_FILE:aloft::cc> home --name ${module} --output ${home} ${translated}
    DEPENDS $<TARGET_FILE:aloft::cc> ${module_file} ${script}
    COMMENT "Translating the module ${name} for the device"
    VERBATIM)
  # Optimized whatever the rest is: unoptimized, each guest function has a stack frame many times as large. Calls in tail
  # position stay calls, so that a recursion without end comes to the end of the stack.
  set_property(SOURCE ${home} PROPERTY COMPILE_OPTIONS
    -w -g0 -O2 ${same_bits_flags} -fno-optimize-sibling-calls -fno-strict-aliasing -fno-sanitize=all)
  set_property(SOURCE ${home} PROPERTY INCLUDE_DIRECTORIES ${root}/include ${root}/include/aloft/detail/translated)
  set_property(SOURCE ${home} PROPERTY OBJECT_DEPENDS ${translated} ${header})
  target_sources(${name} PRIVATE ${home})
endfunction()

function(aloft_add_foreign_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "HOME" "NAME;INTERFACE;GUEST" "DEPENDS;INCLUDE_DIRECTORIES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "aloft_add_foreign_module(${name}): unknown argument '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_INTERFACE OR NOT arg_GUEST)
    message(FATAL_ERROR "aloft_add_foreign_module(${name}): it needs INTERFACE and GUEST")
  endif()
  get_property(root GLOBAL PROPERTY ALOFT_MODULE_ROOT)
  get_property(resource_dir GLOBAL PROPERTY ALOFT_MODULE_Libclang_RESOURCE_DIR)
  set(module ${name})
  if(arg_NAME)
    set(module ${arg_NAME})
  endif()
  cmake_path(ABSOLUTE_PATH arg_INTERFACE NORMALIZE)
  cmake_path(ABSOLUTE_PATH arg_GUEST BASE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} NORMALIZE)
  cmake_path(GET arg_INTERFACE PARENT_PATH beside)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.aloft)
  set(module_file ${CMAKE_BINARY_DIR}/modules/${name}.wasm)
  file(MAKE_DIRECTORY ${folder} ${CMAKE_BINARY_DIR}/modules)

  set(flags)
  foreach(include IN LISTS arg_INCLUDE_DIRECTORIES)
    cmake_path(ABSOLUTE_PATH include NORMALIZE)
    list(APPEND flags --flag=-I${include})
  endforeach()

  set(home)
  if(arg_HOME)
    _aloft_check_home(${name})
    set(home --home)
  endif()
  set(manifest ${folder}/${module}.manifest.json)
  set(native ${folder}/native/${module}.interface.cc)
  set(descriptor ${folder}/${module}.module.cc)
  add_custom_command(
    OUTPUT ${manifest} ${folder}/${module}.aloft.h ${descriptor} ${native}
    COMMAND $<TARGET_FILE:aloft::cc> module --name ${module} --output ${folder} --depfile ${manifest}.d
      --resource-dir ${resource_dir}
      --flag=-std=c++23 --flag=-I${root}/include ${flags} ${home} --interface ${arg_INTERFACE}
    DEPENDS $<TARGET_FILE:aloft::cc> ${arg_INTERFACE}
    DEPFILE ${manifest}.d
    COMMENT "Reading the interface of the module ${name}"
    VERBATIM)

  set(digest ${folder}/${module}.digest.h)
  add_custom_command(OUTPUT ${module_file} ${digest}
    COMMAND $<TARGET_FILE:aloft::cc> seal --manifest ${manifest} --output ${module_file} --digest-header ${digest} ${arg_GUEST}
    DEPENDS $<TARGET_FILE:aloft::cc> ${arg_GUEST} ${manifest} ${arg_DEPENDS}
    COMMENT "Sealing the module ${name}"
    VERBATIM)
  add_custom_target(${name}_module ALL DEPENDS ${module_file})

  add_library(${name} STATIC ${native} ${descriptor} ${digest})
  add_dependencies(${name} ${name}_module)
  set_property(SOURCE ${native} APPEND PROPERTY COMPILE_OPTIONS -iquote${beside})
  set_property(SOURCE ${descriptor} APPEND PROPERTY OBJECT_DEPENDS ${digest})
  target_compile_features(${name} PUBLIC cxx_std_23)
  target_include_directories(${name} PUBLIC ${folder} ${beside} PRIVATE ${arg_INCLUDE_DIRECTORIES})
  target_link_libraries(${name} PUBLIC aloft::device)
  if(arg_HOME)
    _aloft_add_home(${name} ${module} ${module_file} ${folder} ${root})
  endif()
  set_target_properties(${name} PROPERTIES ALOFT_MODULE_FILE ${module_file})
endfunction()
