# Elastic modules: C++ sources that become native code and a WebAssembly guest. docs/compiler.md describes what happens.
#
#   aloft_add_module(detect
#     SOURCES detect.cc boxes.cc                   what the guest consists of; functions tagged ALOFT_OFFLOAD are elastic
#     [INCLUDE_DIRECTORIES folder...]              for both builds
#     [COMPILE_DEFINITIONS name=value...]          for both builds
#     [LIBRARIES target...]                        that the sources use: of headers alone (Eigen3::Eigen), or made by
#                                                  aloft_add_guest_library
#     [NAME name])                                 of the module, if it is not the target's: another version of that module,
#                                                  for Runtime::upgrade(). Its native library is built when something links it.
#
# gives
#   detect               a static library: the tagged functions as dispatching functions, and all else in the sources;
#                        what links to it may include "detect.aloft.h", the functions' asynchronous forms
#   detect_replay        built when asked for: runs a recorded call natively (docs/record-and-replay.md)
#   detect_module        builds the guest: modules/detect.wasm of the build folder (property ALOFT_MODULE_FILE of detect)
#
#   aloft_add_guest_library(filters
#     SOURCES fir.cc iir.c                         C++ or C, not read by aloft-cc: what a module calls in there is trusted to be
#     [INCLUDE_DIRECTORIES folder...]              pure; the folders also are the modules'
#     [COMPILE_DEFINITIONS name=value...])
#
# gives a static library for this machine, and the same sources built for the guest, of which modules with it among their
# LIBRARIES take what they use.
#
# Both builds compute the same bits: no contraction of floating-point operations, no fast-math, no relaxed SIMD.

# Whoever includes this has: ALOFT_MODULE_ROOT, the folder with include/ (the public headers, and no others) and guest/cpp/;
# the variables of WasiToolchain.cmake; Libclang_RESOURCE_DIR; and the targets aloft::cc, which is aloft-cc, and aloft::device.
# A project may do so in several folders (find_package), so what the function needs is kept for all of them.

include_guard(GLOBAL)

set(_root ${ALOFT_MODULE_ROOT})
set_property(GLOBAL PROPERTY ALOFT_MODULE_ROOT ${_root})
foreach(_name IN ITEMS ALOFT_GUEST_CXX ALOFT_GUEST_SYSROOT ALOFT_GUEST_LINK_FLAGS ALOFT_SAME_BITS_FLAGS Libclang_RESOURCE_DIR)
  set_property(GLOBAL PROPERTY ALOFT_MODULE_${_name} "${${_name}}")
endforeach()

# Paths in the guest's line tables start at the project, wherever it lies: two checkouts build the same bytes.
set(_aloft_guest_compile
  ${ALOFT_GUEST_CXX} ${ALOFT_GUEST_FLAGS} ${ALOFT_GUEST_CXX_FLAGS} -ffunction-sections -fdata-sections
  -fdebug-compilation-dir=. -ffile-prefix-map=${_root}/= -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
  -ffile-prefix-map=${CMAKE_BINARY_DIR}/= -ffile-prefix-map=${ALOFT_GUEST_SYSROOT}/=
  -I${_root}/include -I${_root}/guest/cpp)
set_property(GLOBAL PROPERTY ALOFT_GUEST_COMPILE ${_aloft_guest_compile})
# Of a library in C.
set_property(GLOBAL PROPERTY ALOFT_GUEST_COMPILE_C
  ${ALOFT_GUEST_CC} ${ALOFT_GUEST_FLAGS} -ffunction-sections -fdata-sections
  -fdebug-compilation-dir=. -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${CMAKE_BINARY_DIR}/=
  -ffile-prefix-map=${ALOFT_GUEST_SYSROOT}/=)

# The part of every guest that is the same: the ABI's common exports and aloft::nn.
set(_objects)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/guest)
foreach(_source IN ITEMS abi abort nn object)
  set(_object ${CMAKE_BINARY_DIR}/guest/${_source}.o)
  add_custom_command(OUTPUT ${_object}
    COMMAND ${_aloft_guest_compile} -MD -MF ${_object}.d -c ${_root}/guest/cpp/${_source}.cc -o ${_object}
    DEPENDS ${_root}/guest/cpp/${_source}.cc
    DEPFILE ${_object}.d
    COMMENT "Compiling the guest's ${_source}.cc"
    VERBATIM)
  list(APPEND _objects ${_object})
endforeach()

add_custom_target(aloft_guest_cpp DEPENDS ${_objects})
set_property(GLOBAL PROPERTY ALOFT_GUEST_OBJECTS ${_objects})

function(aloft_add_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAME" "SOURCES;INCLUDE_DIRECTORIES;COMPILE_DEFINITIONS;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "aloft_add_module(${name}): unknown argument '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "aloft_add_module(${name}): no SOURCES")
  endif()
  get_property(root GLOBAL PROPERTY ALOFT_MODULE_ROOT)
  get_property(compile GLOBAL PROPERTY ALOFT_GUEST_COMPILE)
  get_property(guest_objects GLOBAL PROPERTY ALOFT_GUEST_OBJECTS)
  get_property(guest_cxx GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_CXX)
  get_property(sysroot GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_SYSROOT)
  get_property(link_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_GUEST_LINK_FLAGS)
  get_property(same_bits_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_SAME_BITS_FLAGS)
  get_property(resource_dir GLOBAL PROPERTY ALOFT_MODULE_Libclang_RESOURCE_DIR)

  set(module ${name})
  if(arg_NAME)
    set(module ${arg_NAME})
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.aloft)
  set(module_file ${CMAKE_BINARY_DIR}/modules/${name}.wasm)
  file(MAKE_DIRECTORY ${folder}/guest ${CMAKE_BINARY_DIR}/modules)

  set(flags)
  foreach(include IN LISTS arg_INCLUDE_DIRECTORIES)
    cmake_path(ABSOLUTE_PATH include NORMALIZE)
    list(APPEND flags -I${include})
  endforeach()
  foreach(definition IN LISTS arg_COMPILE_DEFINITIONS)
    list(APPEND flags -D${definition})
  endforeach()
  # Headers of libraries are system headers: their functions are not looked into, and the guest's linker tells what is missing.
  set(library_objects)
  foreach(library IN LISTS arg_LIBRARIES)
    if(NOT TARGET ${library})
      message(FATAL_ERROR "aloft_add_module(${name}): LIBRARIES has '${library}', which is no target")
    endif()
    get_target_property(folders ${library} INTERFACE_INCLUDE_DIRECTORIES)
    foreach(include IN LISTS folders)
      if(include)
        list(APPEND flags -isystem${include})
      endif()
    endforeach()
    get_target_property(kind ${library} TYPE)
    get_target_property(built ${library} ALOFT_GUEST_OBJECTS)
    if(built)
      list(APPEND library_objects ${built})
    elseif(NOT kind STREQUAL "INTERFACE_LIBRARY")
      message(FATAL_ERROR "aloft_add_module(${name}): ${library} is built for this machine alone; make it with "
        "aloft_add_guest_library")
    endif()
  endforeach()
  set(libraries)
  if(library_objects)
    set(libraries -Wl,--start-lib ${library_objects} -Wl,--end-lib)
  endif()

  set(sources)
  set(native)
  set(guest)
  foreach(source IN LISTS arg_SOURCES)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    cmake_path(GET source FILENAME file)
    list(APPEND sources ${source})
    list(APPEND native ${folder}/native/${file})
    list(APPEND guest ${folder}/guest/${file})
  endforeach()

  # 1. Read the sources, write the copies. The manifest comes first: it is what the depfile speaks of.
  list(TRANSFORM flags PREPEND --flag= OUTPUT_VARIABLE reader_flags)
  set(manifest ${folder}/${module}.manifest.json)
  set(header ${folder}/${module}.aloft.h)
  set(descriptor ${folder}/${module}.module.cc)
  add_custom_command(
    OUTPUT ${manifest} ${header} ${descriptor} ${native} ${guest}
    COMMAND $<TARGET_FILE:aloft::cc> module --name ${module} --output ${folder} --depfile ${manifest}.d
      --sysroot ${sysroot} --resource-dir ${resource_dir}
      --flag=-std=c++23 --flag=-I${root}/include ${reader_flags} ${sources}
    DEPENDS $<TARGET_FILE:aloft::cc> ${sources}
    DEPFILE ${manifest}.d
    COMMENT "Reading the module ${name}"
    VERBATIM)

  # 2. The guest: compile, link, seal. Sealing tells the digest.
  set(objects)
  foreach(copy source IN ZIP_LISTS guest sources)
    cmake_path(GET source PARENT_PATH beside)
    add_custom_command(OUTPUT ${copy}.o
      COMMAND ${compile} -ffile-prefix-map=${folder}/= -iquote${beside} ${flags} -MD -MF ${copy}.o.d -c ${copy} -o ${copy}.o
      DEPENDS ${copy}
      DEPFILE ${copy}.o.d
      COMMENT "Compiling the guest of ${name}"
      VERBATIM)
    list(APPEND objects ${copy}.o)
  endforeach()
  set(linked ${folder}/guest/linked.wasm)
  set(digest ${folder}/${module}.digest.h)
  # The stack lies below the data: running out of it traps, and does not write over the data.
  add_custom_command(OUTPUT ${module_file} ${digest}
    COMMAND ${guest_cxx} --target=wasm32-wasi --sysroot=${sysroot} ${link_flags}
      -Wl,--stack-first -Wl,-z,stack-size=1048576 ${objects} ${guest_objects} ${libraries} -o ${linked}
    COMMAND $<TARGET_FILE:aloft::cc> seal --manifest ${manifest} --output ${module_file} --digest-header ${digest} ${linked}
    DEPENDS $<TARGET_FILE:aloft::cc> aloft_guest_cpp ${objects} ${guest_objects} ${library_objects} ${manifest}
    BYPRODUCTS ${linked}
    COMMENT "Linking the module ${name}"
    VERBATIM)
  add_custom_target(${name}_module ALL DEPENDS ${module_file})

  # 3. The native library.
  set(in_all)
  if(arg_NAME)
    set(in_all EXCLUDE_FROM_ALL)
  endif()
  add_library(${name} STATIC ${in_all} ${native} ${descriptor} ${digest})
  add_dependencies(${name} ${name}_module)
  foreach(copy source IN ZIP_LISTS native sources)
    cmake_path(GET source PARENT_PATH beside)
    set_property(SOURCE ${copy} APPEND PROPERTY COMPILE_OPTIONS -iquote${beside})
  endforeach()
  set_property(SOURCE ${descriptor} APPEND PROPERTY OBJECT_DEPENDS ${digest})
  target_compile_features(${name} PUBLIC cxx_std_23)
  target_compile_options(${name} PRIVATE ${same_bits_flags})
  target_compile_definitions(${name} PRIVATE ${arg_COMPILE_DEFINITIONS})
  target_include_directories(${name} PUBLIC ${folder} PRIVATE ${arg_INCLUDE_DIRECTORIES})
  target_link_libraries(${name} PUBLIC aloft::device PRIVATE ${arg_LIBRARIES})
  set_target_properties(${name} PROPERTIES ALOFT_MODULE_FILE ${module_file})

  # 4. What runs a recorded call of it natively, for a debugger.
  file(CONFIGURE OUTPUT ${folder}/replay.cc CONTENT
    "#include <aloft/replay.h>\n\nint main(int argc, char** argv) { return aloft::replay_main(argc, argv); }\n")
  add_executable(${name}_replay EXCLUDE_FROM_ALL ${folder}/replay.cc)
  target_link_libraries(${name}_replay PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,${name}>)
  set_target_properties(${name}_replay PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/replay)
endfunction()

function(aloft_add_guest_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;INCLUDE_DIRECTORIES;COMPILE_DEFINITIONS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "aloft_add_guest_library(${name}): unknown argument '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_SOURCES)
    message(FATAL_ERROR "aloft_add_guest_library(${name}): no SOURCES")
  endif()
  get_property(compile GLOBAL PROPERTY ALOFT_GUEST_COMPILE)
  get_property(compile_c GLOBAL PROPERTY ALOFT_GUEST_COMPILE_C)
  get_property(same_bits_flags GLOBAL PROPERTY ALOFT_MODULE_ALOFT_SAME_BITS_FLAGS)

  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.aloft/library)
  file(MAKE_DIRECTORY ${folder})
  set(flags)
  set(includes)
  foreach(include IN LISTS arg_INCLUDE_DIRECTORIES)
    cmake_path(ABSOLUTE_PATH include NORMALIZE)
    list(APPEND flags -I${include})
    list(APPEND includes ${include})
  endforeach()
  foreach(definition IN LISTS arg_COMPILE_DEFINITIONS)
    list(APPEND flags -D${definition})
  endforeach()
  set(objects)
  set(number 0)
  foreach(source IN LISTS arg_SOURCES)
    cmake_path(ABSOLUTE_PATH source NORMALIZE)
    cmake_path(GET source FILENAME file)
    cmake_path(GET source EXTENSION LAST_ONLY extension)
    math(EXPR number "${number} + 1")  # two folders may have sources of one name
    set(object ${folder}/${number}.${file}.o)
    set(compiler ${compile})
    if(extension STREQUAL ".c")
      set(compiler ${compile_c})
    endif()
    add_custom_command(OUTPUT ${object}
      COMMAND ${compiler} ${flags} -MD -MF ${object}.d -c ${source} -o ${object}
      DEPENDS ${source}
      DEPFILE ${object}.d
      COMMENT "Compiling ${name} for guests"
      VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  add_custom_target(${name}_guest DEPENDS ${objects})
  add_library(${name} STATIC ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${same_bits_flags})
  target_compile_definitions(${name} PRIVATE ${arg_COMPILE_DEFINITIONS})
  target_include_directories(${name} PRIVATE ${includes} INTERFACE ${includes})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON ALOFT_GUEST_OBJECTS "${objects}")
  add_dependencies(${name} ${name}_guest)
endfunction()
