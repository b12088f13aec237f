# Finds single modules of OpenCV: find_package(OpenCVModules COMPONENTS core imgproc) gives OpenCVModules::core and so on.
# OpenCV's own CMake configuration is in a package that asks for all modules, with VTK, Qt and MPI behind them.

find_path(OpenCVModules_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
mark_as_advanced(OpenCVModules_INCLUDE_DIR)
foreach(_module IN LISTS OpenCVModules_FIND_COMPONENTS)
  find_library(OpenCVModules_${_module}_LIBRARY opencv_${_module})
  mark_as_advanced(OpenCVModules_${_module}_LIBRARY)
  if(OpenCVModules_${_module}_LIBRARY AND OpenCVModules_INCLUDE_DIR)
    set(OpenCVModules_${_module}_FOUND TRUE)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCVModules REQUIRED_VARS OpenCVModules_INCLUDE_DIR HANDLE_COMPONENTS)

if(OpenCVModules_FOUND)
  foreach(_module IN LISTS OpenCVModules_FIND_COMPONENTS)
    if(NOT TARGET OpenCVModules::${_module})
      add_library(OpenCVModules::${_module} UNKNOWN IMPORTED)
      set_target_properties(OpenCVModules::${_module} PROPERTIES
        IMPORTED_LOCATION ${OpenCVModules_${_module}_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${OpenCVModules_INCLUDE_DIR})
    endif()
  endforeach()
endif()
