// The one file of the test programs that compiles matrix products; the others are compiled with ONESTEP_EXTERN_GEMM.
#define ONESTEP_INSTANTIATE_GEMM
#include <onestep/backend/cpu_gemm.hpp>
#include <onestep/backend/host_gemm.hpp>
