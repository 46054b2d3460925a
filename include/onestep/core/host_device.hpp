#pragma once
/// ONESTEP_HD marks a function that runs on the host and, when a CUDA compiler reads it, on the device too.
#if defined(__CUDACC__)
#define ONESTEP_HD __host__ __device__
#else
#define ONESTEP_HD
#endif

/// ONESTEP_HD_INLINE marks the small functions that loops are made of: a call left standing in a loop keeps a host compiler
/// from vectorising it.
#if defined(__GNUC__)
#define ONESTEP_HD_INLINE ONESTEP_HD inline __attribute__((always_inline))
#else
#define ONESTEP_HD_INLINE ONESTEP_HD inline
#endif

/// ONESTEP_UNROLL stands before a loop of a few known turns inside a loop that shall vectorise.
#if defined(__CUDACC__) || defined(__clang__)
#define ONESTEP_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define ONESTEP_UNROLL _Pragma("GCC unroll 8")
#else
#define ONESTEP_UNROLL
#endif
