# gRPC for C++ and what generates code for it: GRPC::grpc++, ALOFT_PROTOC, ALOFT_GRPC_PLUGIN. Debian's package has no CMake
# config of its own.
find_program(ALOFT_PROTOC protoc)
find_program(ALOFT_GRPC_PLUGIN grpc_cpp_plugin)
find_path(GRPC_INCLUDE_DIR grpcpp/grpcpp.h)
set(libraries)
foreach(name IN ITEMS grpc++ grpc gpr protobuf absl_synchronization)
  find_library(GRPC_${name}_LIBRARY ${name})
  list(APPEND libraries GRPC_${name}_LIBRARY)
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(GRPC REQUIRED_VARS ALOFT_PROTOC ALOFT_GRPC_PLUGIN GRPC_INCLUDE_DIR ${libraries})

if(GRPC_FOUND AND NOT TARGET GRPC::grpc++)
  add_library(GRPC::grpc++ INTERFACE IMPORTED)
  target_include_directories(GRPC::grpc++ SYSTEM INTERFACE ${GRPC_INCLUDE_DIR})
  foreach(library IN LISTS libraries)
    target_link_libraries(GRPC::grpc++ INTERFACE ${${library}})
  endforeach()
endif()
mark_as_advanced(ALOFT_PROTOC ALOFT_GRPC_PLUGIN GRPC_INCLUDE_DIR ${libraries})
