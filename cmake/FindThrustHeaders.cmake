# Thrust for use with a host compiler, as target thrust::headers: a packaged Thrust, or else the one of a CUDA Toolkit.
find_path(ThrustHeaders_INCLUDE_DIR thrust/version.h)
find_path(ThrustHeaders_INCLUDE_DIR thrust/version.h
  PATHS ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES include/cccl include)
mark_as_advanced(ThrustHeaders_INCLUDE_DIR)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ThrustHeaders REQUIRED_VARS ThrustHeaders_INCLUDE_DIR)
if(ThrustHeaders_FOUND AND NOT TARGET thrust::headers)
  add_library(thrust::headers INTERFACE IMPORTED)
  target_include_directories(thrust::headers INTERFACE "${ThrustHeaders_INCLUDE_DIR}")
endif()
