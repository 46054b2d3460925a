#pragma once
/// What the CUDA runtime and cuBLAS report, as device_error.
#if defined(__CUDACC__)
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include "../core/error.hpp"

namespace onestep {

/// Throws device_error unless the call succeeded. Work runs later than its launch, so that the call that reports a
/// failure may follow the one that caused it.
inline void check(cudaError_t status, char const* call) {
    if (status != cudaSuccess)
        raise<device_error>("gpu", std::string(call) + " reports " + cudaGetErrorName(status), cudaGetErrorString(status));
}
inline void check(cublasStatus_t status, char const* call) {
    if (status != CUBLAS_STATUS_SUCCESS)
        raise<device_error>("gpu", std::string(call) + " reports " + cublasGetStatusName(status), cublasGetStatusString(status));
}

/// Usable CUDA devices; 0, never an exception, where there is no driver or no device.
inline int device_count() {
    int n = 0;
    if (cudaGetDeviceCount(&n) == cudaSuccess) return n;
    (void)cudaGetLastError();  // or the next check would find this failure
    return 0;
}

}  // namespace onestep
#endif
