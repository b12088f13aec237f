# Elastic modules whose guest is made in another language than C++. docs/languages.md describes how to write one.
#
#   aloft_add_foreign_module(detect
#     INTERFACE detect.h                           declares its functions and classes, tagged as those of a C++ module are
#     GUEST guest/detect.wasm                      what the other tool chain made
#     [DEPENDS target...]                          that make it
#     [INCLUDE_DIRECTORIES folder...]              for the interface
#     [NAME name])                                 of the module, if it is not the target's
#
# gives what aloft_add_module() gives: the library `detect` to link to, with "detect.aloft.h", and modules/detect.wasm of the
# build folder, sealed with the manifest that the interface says. There is no native version: calls run at an edge only.

# Whoever includes this has included AloftModule.cmake.

include_guard(GLOBAL)

function(aloft_add_foreign_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME;INTERFACE;GUEST" "DEPENDS;INCLUDE_DIRECTORIES")
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

  set(manifest ${folder}/${module}.manifest.json)
  set(native ${folder}/native/${module}.interface.cc)
  set(descriptor ${folder}/${module}.module.cc)
  add_custom_command(
    OUTPUT ${manifest} ${folder}/${module}.aloft.h ${descriptor} ${native}
    COMMAND $<TARGET_FILE:aloft::cc> module --name ${module} --output ${folder} --depfile ${manifest}.d
      --resource-dir ${resource_dir}
      --flag=-std=c++23 --flag=-I${root}/include ${flags} --interface ${arg_INTERFACE}
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
  set_target_properties(${name} PROPERTIES ALOFT_MODULE_FILE ${module_file})
endfunction()
