#pragma once
/// The gpu backend: loops by Thrust. THRUST_DEVICE_SYSTEM says where it runs; the build targets define it.
///
///     target                  compiled by    THRUST_DEVICE_SYSTEM                    products                  file
///     onestep::gpu            nvcc           none, or THRUST_DEVICE_SYSTEM_CUDA      cuBLAS                    gpu_cuda.hpp
///     onestep::thrust_omp     g++            THRUST_DEVICE_SYSTEM_OMP                cpu_gemm.hpp, as for cpu  gpu_host.hpp
///     onestep::thrust_cpp     g++, clang++   THRUST_DEVICE_SYSTEM_CPP                cpu_gemm.hpp, as for cpu  gpu_host.hpp
///
/// The host systems are how code written for `gpu` is tested where there is none: their results equal those of `cpu` bit
/// for bit.
#if !defined(__CUDACC__) && !defined(THRUST_DEVICE_SYSTEM)
#error \
    "onestep/backend/gpu.hpp: link onestep::gpu and compile with nvcc, or link onestep::thrust_omp or onestep::thrust_cpp \
(they define THRUST_DEVICE_SYSTEM, which must be set before the first include of Thrust)"
#else

#include <thrust/for_each.h>

#if defined(__CUDACC__)
#if THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
#error "onestep/backend/gpu.hpp: nvcc does not compile Thrust's host systems; use g++ or clang++ for THRUST_DEVICE_SYSTEM_OMP and _CPP"
#endif
#include "gpu_cuda.hpp"
#else
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#error "onestep/backend/gpu.hpp: THRUST_DEVICE_SYSTEM_CUDA needs nvcc; this compiler takes THRUST_DEVICE_SYSTEM_OMP or _CPP"
#endif
#include "gpu_host.hpp"
#endif

namespace onestep {
static_assert(backend<gpu>);
}  // namespace onestep

#endif
