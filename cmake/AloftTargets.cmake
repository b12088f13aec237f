# The few functions that every CMakeLists.txt below uses, so that a target is one call.
#
# In DEPS, a bare name is one of aloft's own libraries (`channel` is aloft::channel); anything with `::` is taken as it is.

function(_aloft_link target visibility)
  foreach(dependency IN LISTS ARGN)
    if(dependency MATCHES "::")
      target_link_libraries(${target} ${visibility} ${dependency})
    else()
      target_link_libraries(${target} ${visibility} aloft::${dependency})
    endif()
  endforeach()
endfunction()

# aloft_library(NAME [SOURCES file...] [DEPS name...] [PRIVATE_DEPS name...])
#
# The static library aloft::NAME. Without a source file it is header-only. Its headers are included relative to src/
# ("channel/endpoint.h") and to include/ (<aloft/image.h>).
function(aloft_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;PRIVATE_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "aloft_library(${name}): unknown argument '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  set(target aloft_${name})
  if(arg_SOURCES)
    set(scope PUBLIC)
    add_library(${target} STATIC ${arg_SOURCES})
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:aloft_warnings>)
    _aloft_link(${target} PRIVATE ${arg_PRIVATE_DEPS})
  else()
    set(scope INTERFACE)
    add_library(${target} INTERFACE)
  endif()
  add_library(aloft::${name} ALIAS ${target})
  target_compile_features(${target} ${scope} cxx_std_23)
  target_include_directories(${target} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  _aloft_link(${target} ${scope} ${arg_DEPS})
endfunction()

function(_aloft_executable target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_executable(${target} ${arg_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(${target} PRIVATE aloft_warnings)
  _aloft_link(${target} PRIVATE ${arg_DEPS})
endfunction()

# aloft_binary(NAME SOURCES file... [DEPS name...])
#
# A program, at bin/NAME of the build folder.
function(aloft_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  _aloft_executable(${name} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS})
endfunction()

# A target that builds all tests of one label: `ninja tests-asan`.
function(_aloft_add_to_label label target)
  if(NOT TARGET tests-${label})
    add_custom_target(tests-${label})
  endif()
  add_dependencies(tests-${label} ${target})
endfunction()

# aloft_test(NAME SOURCES file... [DEPS name...] [LABELS label...] [NEEDS target...] [TIMEOUT seconds] [RUN_SERIAL]
#            [ONE_PROCESS])
#
# A GoogleTest program; each of its tests is one test of ctest. Every test carries its folder's name as a label.
#   LABELS       `asan` adds it to the sanitizer run of `./dev test`, `asan-full` to that of `./dev test --full`: what takes
#                much to build beside what it reads of strangers
#   NEEDS        targets to build first: programs and modules that the test runs
#   TIMEOUT      for each test; 60 s where none is given
#   RUN_SERIAL   runs while no other test does: for what measures time
#   ONE_PROCESS  the whole program is one test of ctest: for a program with a costly start
# "test_paths.h" tells the test where the sources and the built programs are.
function(aloft_test name)
  if(NOT ALOFT_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "RUN_SERIAL;ONE_PROCESS" "TIMEOUT" "SOURCES;DEPS;LABELS;NEEDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "aloft_test(${name}): unknown argument '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  _aloft_executable(${name} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS})
  target_link_libraries(${name} PRIVATE aloft_test_paths GTest::gmock GTest::gtest_main)
  # What is tested is optimized; the tests themselves compile in half the time without.
  target_compile_options(${name} PRIVATE -O0)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME folder)
  set(labels ${folder} ${arg_LABELS})
  list(REMOVE_DUPLICATES labels)
  foreach(label IN LISTS labels)
    _aloft_add_to_label(${label} ${name})
  endforeach()
  if(arg_NEEDS)
    add_dependencies(${name} ${arg_NEEDS})
  endif()

  set(properties TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_RUN_SERIAL})
  if(arg_ONE_PROCESS)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES ${properties} LABELS "${labels}")
  else()
    # The list of tests is asked for when ctest runs: a build then never waits for a program that it has just made.
    gtest_discover_tests(${name}
      WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
      DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 60
      PROPERTIES ${properties})
    # gtest_discover_tests cannot pass on a property that is a list, so the labels are set on the tests that it found.
    set(labels_file ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
    file(CONFIGURE OUTPUT ${labels_file} @ONLY CONTENT [[
foreach(test IN LISTS @name@_TESTS)
  set_tests_properties(${test} PROPERTIES LABELS "@labels@")
endforeach()
]])
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels_file})
  endif()
endfunction()

# aloft_bench(NAME SOURCES file... [DEPS name...] [NEEDS target...] [OWN_MAIN])
#
# A benchmark, run by `./dev bench NAME`. Google Benchmark with a main of its own, unless OWN_MAIN says that the sources
# have one; that one, too, takes `--json FILE`.
function(aloft_bench name)
  if(NOT ALOFT_BUILD_BENCH)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "OWN_MAIN" "" "SOURCES;DEPS;NEEDS")
  set(target bench_${name})
  if(NOT arg_OWN_MAIN)
    list(APPEND arg_SOURCES ${PROJECT_SOURCE_DIR}/cmake/bench_main.cc)
    list(APPEND arg_DEPS benchmark::benchmark)
  endif()
  _aloft_executable(${target} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
  if(arg_NEEDS)
    add_dependencies(${target} ${arg_NEEDS})
  endif()
endfunction()

# aloft_fuzz(NAME SOURCES file... [DEPS name...] [CORPUS folder])
#
# A libFuzzer target, built where the sanitizers include it (preset asan). `./dev fuzz NAME` runs it for as long as one
# likes; the sanitizer run of `./dev test` runs it briefly, from a fixed seed.
function(aloft_fuzz name)
  if(NOT ALOFT_BUILD_TESTS OR NOT ALOFT_SANITIZE MATCHES "fuzzer-no-link")
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "CORPUS" "SOURCES;DEPS")
  _aloft_executable(${name} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzz)
  _aloft_add_to_label(asan ${name})
  if(arg_CORPUS)
    cmake_path(ABSOLUTE_PATH arg_CORPUS)
  endif()
  # A folder of its own comes first: libFuzzer writes what it finds into the first one.
  set(found ${PROJECT_BINARY_DIR}/fuzz/${name}.corpus)
  file(MAKE_DIRECTORY ${found})
  add_test(NAME ${name}
    COMMAND ${name} -seed=1 -runs=200000 -max_total_time=5 -timeout=5 ${found} ${arg_CORPUS})
  set_tests_properties(${name} PROPERTIES TIMEOUT 60 LABELS "fuzz;asan")
endfunction()

if(ALOFT_BUILD_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
  # The one object that knows the paths of this checkout, so that a compiler cache serves all others to every checkout.
  add_library(aloft_test_paths STATIC ${PROJECT_SOURCE_DIR}/cmake/test_paths.cc)
  target_include_directories(aloft_test_paths PUBLIC ${PROJECT_SOURCE_DIR}/cmake)
  target_compile_definitions(aloft_test_paths PRIVATE
    ALOFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" ALOFT_BINARY_DIR="${PROJECT_BINARY_DIR}")
  target_link_libraries(aloft_test_paths PRIVATE aloft_warnings)
endif()
if(ALOFT_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()
