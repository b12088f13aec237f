# The packages of Debian 12 that `./dev package` makes of what AloftInstall.cmake installs. Which libraries of the system each
# needs, dpkg-shlibdeps finds out; what else, is below.
#
#   libaloft0          component device
#   libaloft-cluster0  component cluster
#   aloft-dev          component dev
#   aloft-edge         components edge and system
#   aloft-demo         component demo

set(deb ${PROJECT_SOURCE_DIR}/deploy/debian)
set(made ${PROJECT_BINARY_DIR}/install/debian)
file(MAKE_DIRECTORY ${made})

# What each package has to say of itself: copyright, changelog. Only packages do, `cmake --install` does not.
# ONNX Runtime is in libaloft0, with its licence and the notices of what it is made of.
file(READ ${deb}/copyright copyright)
set(onnxruntime_root ${ONNXRuntime_LIBRARY})
cmake_path(GET onnxruntime_root PARENT_PATH onnxruntime_root)
cmake_path(GET onnxruntime_root PARENT_PATH onnxruntime_root)
if(EXISTS ${onnxruntime_root}/LICENSE)
  file(STRINGS ${onnxruntime_root}/LICENSE lines)
  list(TRANSFORM lines PREPEND " ")
  list(JOIN lines "\n" lines)
  string(APPEND copyright "\nFiles: usr/lib/*/aloft/libonnxruntime.so.1\nCopyright: Microsoft Corporation\nLicense: MIT\n${lines}\n")
endif()
file(WRITE ${made}/copyright "${copyright}")
install(FILES ${onnxruntime_root}/ThirdPartyNotices.txt DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libaloft0 COMPONENT device
  EXCLUDE_FROM_ALL OPTIONAL)
execute_process(COMMAND gzip -9nc ${deb}/changelog OUTPUT_FILE ${made}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)
foreach(pair IN ITEMS device=libaloft0 cluster=libaloft-cluster0 dev=aloft-dev edge=aloft-edge demo=aloft-demo)
  string(REGEX MATCH "^(.*)=(.*)$" ignored ${pair})
  install(FILES ${made}/copyright ${made}/changelog.gz DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CMAKE_MATCH_2}
    COMPONENT ${CMAKE_MATCH_1} EXCLUDE_FROM_ALL)
endforeach()

set(CPACK_VERBATIM_VARIABLES YES)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME aloft)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_PACKAGE_CONTACT "aloft developers <developers@aloft.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_COMPONENTS_ALL device cluster dev edge system demo)
if(NOT ALOFT_BUILD_APPS)
  list(REMOVE_ITEM CPACK_COMPONENTS_ALL demo)
endif()
set(CPACK_COMPONENT_EDGE_GROUP edgeside)
set(CPACK_COMPONENT_SYSTEM_GROUP edgeside)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/src/device ${PROJECT_SOURCE_DIR}/build/deps/onnxruntime/lib)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(same "(= ${PROJECT_VERSION})")

# aloft_package(COMPONENT NAME SECTION DEPENDS SUMMARY TEXT)
macro(aloft_package component name section depends summary text)
  set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${component}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${component}_PACKAGE_DEPENDS "${depends}")
  set(CPACK_DEBIAN_${component}_DESCRIPTION "${summary}\n${text}")
endmacro()

aloft_package(DEVICE libaloft0 libs ""
  "computation offloading: the device library"
  "Runs tagged functions of a program here or at an edge host, wherever that\npays, while the program runs. This package has the library that programs\nrun with, and the inference engine that it uses.")
set(CPACK_DEBIAN_DEVICE_PACKAGE_MULTIARCH same)
set(CPACK_DEBIAN_DEVICE_PACKAGE_CONTROL_EXTRA ${deb}/libaloft0/shlibs)

aloft_package(CLUSTER libaloft-cluster0 libs "libaloft0 ${same}"
  "computation offloading: devices in a cluster"
  "Finds the closest edge cluster, shows a device's credentials there and\nfollows its hosts. A library beside libaloft0, with gRPC, which programs\nwithout a cluster do without.")
set(CPACK_DEBIAN_CLUSTER_PACKAGE_MULTIARCH same)
set(CPACK_DEBIAN_CLUSTER_PACKAGE_CONTROL_EXTRA ${deb}/libaloft-cluster0/shlibs)

string(JOIN ", " dev_depends "libaloft0 ${same}" "libaloft-cluster0 ${same}" clang-19 lld-19 wasi-libc libc++-19-dev-wasm32
  libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32)
aloft_package(DEV aloft-dev libdevel "${dev_depends}"
  "computation offloading: headers, aloft-cc and CMake configuration"
  "With find_package(aloft) and aloft_add_module(), C++ sources become native\ncode and a WebAssembly module for edge hosts. The header aloft/aloft.h is\nthe same library for C and for languages that can call C.")
set(CPACK_DEBIAN_DEV_PACKAGE_RECOMMENDS "cmake (>= 3.25), g++, ninja-build | make, wabt, aloft-edge")

aloft_package(EDGESIDE aloft-edge net "libaloft0 ${same}, adduser"
  "computation offloading: managers, hosts and the command line"
  "Offload Managers, hosts with their sandboxed Execution Handlers, and aloft,\nwhich sets up and operates a cluster. Nothing is started by itself: a\ncluster has keys, which \"aloft cluster init\" makes. \"aloft up\" is a\ncluster for one user.")
set(CPACK_DEBIAN_EDGESIDE_PACKAGE_CONTROL_EXTRA
  ${deb}/aloft-edge/conffiles ${deb}/aloft-edge/postinst ${deb}/aloft-edge/prerm ${deb}/aloft-edge/postrm)

aloft_package(DEMO aloft-demo video "libaloft0 ${same}, aloft-edge ${same}"
  "computation offloading: a detection that hops between device and edge"
  "Finds pedestrians in a video, and changes the place where that is computed\nwhile it goes on. Type \"aloft-demo\".")
set(CPACK_DEBIAN_DEMO_PACKAGE_RECOMMENDS "opencv-doc, gnuplot-nox")

include(CPack)
