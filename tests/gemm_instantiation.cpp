// The one file of the test programs that compiles kernels; the others are compiled with ONESTEP_EXTERN_GEMM.
#define ONESTEP_INSTANTIATE_GEMM
#include <onestep/backend/host_convolution.hpp>
#include <onestep/backend/host_gemm.hpp>
