# The targets that users link. None of them carries a warning flag, an optimisation flag or a definition that its
# headers do not need.
#
#   onestep::onestep       everything that needs Eigen and threads alone
#   onestep::io            reading and writing files: nlohmann-json, zlib, stb_image_write
#   onestep::thrust_omp    backend/gpu.hpp on host threads, by Thrust's OpenMP system
#   onestep::thrust_cpp    backend/gpu.hpp on one host thread, by Thrust's C++ system
#   onestep::gpu           backend/gpu.hpp on NVIDIA devices; sources that include it are compiled by nvcc
#   onestep::mpi           train/mpi.hpp: several processes train one model
#
# All but the first exist only where what they need is found.

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(Threads REQUIRED)
find_package(OpenMP QUIET COMPONENTS CXX)

file(GLOB_RECURSE onestep_headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/include/onestep/*.hpp")
# Headers that need more than onestep::onestep form sets of their own.
set(onestep_io_headers ${onestep_headers})
list(FILTER onestep_io_headers INCLUDE REGEX "/include/onestep/io/")
set(onestep_gpu_headers ${onestep_headers})
list(FILTER onestep_gpu_headers INCLUDE REGEX "/include/onestep/backend/gpu[a-z_]*\\.hpp$")
set(onestep_mpi_headers ${onestep_headers})
list(FILTER onestep_mpi_headers INCLUDE REGEX "/include/onestep/train/mpi\\.hpp$")
list(REMOVE_ITEM onestep_headers ${onestep_io_headers} ${onestep_gpu_headers} ${onestep_mpi_headers})

add_library(onestep INTERFACE)
add_library(onestep::onestep ALIAS onestep)
target_sources(onestep INTERFACE
  FILE_SET HEADERS BASE_DIRS include FILES ${onestep_headers}
  FILE_SET io TYPE HEADERS BASE_DIRS include FILES ${onestep_io_headers}
  FILE_SET gpu TYPE HEADERS BASE_DIRS include FILES ${onestep_gpu_headers}
  FILE_SET mpi TYPE HEADERS BASE_DIRS include FILES ${onestep_mpi_headers})
target_compile_features(onestep INTERFACE cxx_std_20)
target_link_libraries(onestep INTERFACE Eigen3::Eigen Threads::Threads)
if(OpenMP_CXX_FOUND)
  target_link_libraries(onestep INTERFACE $<BUILD_INTERFACE:OpenMP::OpenMP_CXX>)
endif()
# Whether an installed onestep uses OpenMP is decided where it is used.
target_link_libraries(onestep INTERFACE $<INSTALL_INTERFACE:$<TARGET_NAME_IF_EXISTS:OpenMP::OpenMP_CXX>>)

# The parts are always described, so that an installed package has them whatever this machine lacks; they get their
# names within this build only if they can be used here.
function(onestep_part name)
  add_library(onestep_${name} INTERFACE)
  set_target_properties(onestep_${name} PROPERTIES EXPORT_NAME ${name})
  target_link_libraries(onestep_${name} INTERFACE onestep ${ARGN})
endfunction()
onestep_part(io nlohmann_json::nlohmann_json ZLIB::ZLIB stb::headers)
onestep_part(thrust_omp thrust::headers OpenMP::OpenMP_CXX)
target_compile_definitions(onestep_thrust_omp INTERFACE THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP)
onestep_part(thrust_cpp thrust::headers)
target_compile_definitions(onestep_thrust_cpp INTERFACE THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP)
onestep_part(gpu CUDA::cublas CUDA::cudart)
onestep_part(mpi MPI::MPI_CXX)

find_package(nlohmann_json QUIET)
find_package(ZLIB QUIET)
find_package(StbHeaders QUIET)
if(nlohmann_json_FOUND AND ZLIB_FOUND AND StbHeaders_FOUND)
  add_library(onestep::io ALIAS onestep_io)
elseif(PROJECT_IS_TOP_LEVEL)
  message(STATUS "onestep: no onestep::io (it needs nlohmann-json, zlib and stb)")
endif()

find_package(ThrustHeaders QUIET)
if(ThrustHeaders_FOUND)
  add_library(onestep::thrust_cpp ALIAS onestep_thrust_cpp)
  if(OpenMP_CXX_FOUND)
    add_library(onestep::thrust_omp ALIAS onestep_thrust_omp)
  endif()
elseif(PROJECT_IS_TOP_LEVEL)
  message(STATUS "onestep: no onestep::thrust_omp and onestep::thrust_cpp (they need Thrust's headers)")
endif()

if(ONESTEP_MPI)
  set(MPI_CXX_SKIP_MPICXX TRUE)
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    add_library(onestep::mpi ALIAS onestep_mpi)
  else()
    message(STATUS "onestep: no onestep::mpi (no MPI library)")
  endif()
endif()

if(ONESTEP_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 90)
    endif()
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    add_library(onestep::gpu ALIAS onestep_gpu)
  else()
    message(STATUS "onestep: no onestep::gpu (no CUDA compiler)")
  endif()
endif()
