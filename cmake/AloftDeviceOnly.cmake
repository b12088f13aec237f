# The device's half for another kind of processor: modules are made by the aloft-cc of a whole build on this machine, whose
# edge the tests call. There has to be such a build: ALOFT_NATIVE_BUILD, build/release unless it is set.

set(ALOFT_NATIVE_BUILD ${PROJECT_SOURCE_DIR}/build/release CACHE PATH "Folder of a whole build, for this machine's processor")
set(Libclang_RESOURCE_DIR /usr/lib/llvm-19/lib/clang/19 CACHE PATH "Headers of the clang that reads modules")
if(NOT EXISTS ${ALOFT_NATIVE_BUILD}/bin/aloft-cc)
  message(FATAL_ERROR "there is no ${ALOFT_NATIVE_BUILD}/bin/aloft-cc: ./dev build aloft-cc aloft-exec")
endif()
add_executable(aloft::cc IMPORTED GLOBAL)
set_property(TARGET aloft::cc PROPERTY IMPORTED_LOCATION ${ALOFT_NATIVE_BUILD}/bin/aloft-cc)
# Where tests look for programs.
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
file(CREATE_LINK ${ALOFT_NATIVE_BUILD}/bin/aloft-exec ${PROJECT_BINARY_DIR}/bin/aloft-exec SYMBOLIC)
