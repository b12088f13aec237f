# What `cmake --install` puts where, and what `./dev package` makes packages of. The parts are CMake's components:
#
#   device   libaloft.so.0 and the inference engine that it needs: what a program of aloft's runs with
#   cluster  libaloft-cluster.so.0: the same for programs in a cluster; gRPC comes with it alone
#   dev      headers, find_package(aloft), pkg-config, aloft-cc, and what guests are built of
#   edge     managers, hosts, Execution Handlers, inference processes, the command line
#   demo     the application of the paper's section III, its module and its model
#   system   units of systemd and configuration files, which belong to a machine and not to a prefix: packages only

include(GNUInstallDirs)
# Where a system keeps libraries by architecture, GNUInstallDirs does so below /usr only.
if(CMAKE_LIBRARY_ARCHITECTURE AND CMAKE_INSTALL_LIBDIR STREQUAL "lib")
  set(CMAKE_INSTALL_LIBDIR lib/${CMAKE_LIBRARY_ARCHITECTURE} CACHE PATH "" FORCE)
endif()
set(private_libdir ${CMAKE_INSTALL_LIBDIR}/aloft)
file(RELATIVE_PATH to_private_libdir /x/${CMAKE_INSTALL_BINDIR} /x/${private_libdir})

# --- device and cluster

set_target_properties(aloft_shared PROPERTIES EXPORT_NAME aloft INSTALL_RPATH "\$ORIGIN/aloft")
set_target_properties(aloft_cluster_shared PROPERTIES EXPORT_NAME cluster_client)
foreach(part IN ITEMS device cluster)
  set(target aloft_shared)
  if(part STREQUAL "cluster")
    set(target aloft_cluster_shared)
  endif()
  install(TARGETS ${target} EXPORT aloft-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${part} NAMELINK_COMPONENT dev
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endforeach()
file(REAL_PATH ${ONNXRuntime_LIBRARY} onnxruntime)
install(FILES ${onnxruntime} DESTINATION ${private_libdir} COMPONENT device RENAME libonnxruntime.so.1)

# --- dev

set_target_properties(aloft-cc PROPERTIES EXPORT_NAME cc)
install(TARGETS aloft-cc EXPORT aloft-targets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT dev)
install(DIRECTORY include/aloft DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(DIRECTORY guest/cpp DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/guest COMPONENT dev)
install(FILES guest/c/aloft_guest.c guest/c/aloft_codec.c guest/c/aloft_message.c
  DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/guest/c COMPONENT dev)
install(DIRECTORY guest/c/include DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/guest/c COMPONENT dev)
install(DIRECTORY guest/rust guest/go guest/assemblyscript DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/guest COMPONENT dev)
# Guests see these headers and none of the host's, which lie beside them.
file(RELATIVE_PATH to_headers /x/${CMAKE_INSTALL_DATADIR}/aloft/include /x/${CMAKE_INSTALL_INCLUDEDIR}/aloft)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/install/include)
file(CREATE_LINK ${to_headers} ${PROJECT_BINARY_DIR}/install/include/aloft SYMBOLIC)
install(DIRECTORY ${PROJECT_BINARY_DIR}/install/include DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft COMPONENT dev)

include(CMakePackageConfigHelpers)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/aloft)
set(module_root ${CMAKE_INSTALL_DATADIR}/aloft)
configure_package_config_file(cmake/aloft-config.cmake.in ${PROJECT_BINARY_DIR}/install/aloft-config.cmake
  INSTALL_DESTINATION ${config_folder} PATH_VARS module_root)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/install/aloft-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/install/aloft-config.cmake ${PROJECT_BINARY_DIR}/install/aloft-config-version.cmake
  cmake/AloftModule.cmake cmake/AloftForeignModule.cmake cmake/AloftGuestCompilers.cmake cmake/AloftGuestLanguages.cmake
  cmake/WasiToolchain.cmake cmake/translate_guest.cmake
  DESTINATION ${config_folder} COMPONENT dev)
install(EXPORT aloft-targets NAMESPACE aloft:: DESTINATION ${config_folder} COMPONENT dev)
file(RELATIVE_PATH to_prefix /x/${CMAKE_INSTALL_LIBDIR}/pkgconfig /x)
string(REGEX REPLACE "/$" "" to_prefix ${to_prefix})
foreach(name IN ITEMS aloft aloft-cluster)
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/install/${name}.pc @ONLY)
endforeach()
install(FILES ${PROJECT_BINARY_DIR}/install/aloft.pc ${PROJECT_BINARY_DIR}/install/aloft-cluster.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

# --- edge and demo

set(programs aloft-manager aloft-host aloft-exec aloft-infer aloft-cli)
set_target_properties(${programs} PROPERTIES INSTALL_RPATH "\$ORIGIN/${to_private_libdir}")
install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT edge)

if(ALOFT_BUILD_APPS)
  set_target_properties(aloft-detect PROPERTIES INSTALL_RPATH "\$ORIGIN/${to_private_libdir}")
  install(TARGETS aloft-detect RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT demo)
  get_target_property(detect_module detect ALOFT_MODULE_FILE)
  install(FILES ${detect_module} DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/modules COMPONENT demo)
  install(FILES models/pedestrian.onnx DESTINATION ${CMAKE_INSTALL_DATADIR}/aloft/models COMPONENT demo)
  install(PROGRAMS apps/detect/aloft-demo DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT demo)
endif()

# --- system

set(system COMPONENT system EXCLUDE_FROM_ALL)
install(FILES deploy/systemd/aloft-manager.service deploy/systemd/aloft-host.service DESTINATION lib/systemd/system ${system})
install(FILES deploy/config/manager.toml deploy/config/host.toml DESTINATION /etc/aloft ${system})
install(FILES docs/operations.md docs/managers.md docs/hosts.md docs/configuration.md DESTINATION share/doc/aloft ${system})

# Whoever installs has built what is to be installed, and not all the tests besides.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
add_custom_target(shipped)
add_dependencies(shipped aloft_shared aloft_cluster_shared aloft-cc ${programs})
if(ALOFT_BUILD_APPS)
  add_dependencies(shipped aloft-detect detect_module)
endif()
include(AloftPackages)
