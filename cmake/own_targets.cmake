# Flags of this repository's own programs. Nothing here reaches users of the library.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceRuns)

add_library(onestep_warnings INTERFACE)
target_compile_options(onestep_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(onestep_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)  # false for "text" + string (GCC bug 105651)
endif()
if(NOT OpenMP_CXX_FOUND)
  target_compile_options(onestep_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-unknown-pragmas>)
endif()

# Random numbers and activations are polynomials in explicit fma: without the FMA instruction each one is a library call.
set(ONESTEP_MARCH "x86-64-v3" CACHE STRING "-march of own tests, examples and benchmarks; empty for the compiler's default")
add_library(onestep_processor INTERFACE)
if(ONESTEP_MARCH AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  check_cxx_compiler_flag("-march=${ONESTEP_MARCH}" ONESTEP_COMPILER_HAS_MARCH)
  if(CMAKE_CROSSCOMPILING)
    set(ONESTEP_PROCESSOR_HAS_FMA TRUE)
  else()
    check_cxx_source_runs("int main() { return __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\") ? 0 : 1; }"
      ONESTEP_PROCESSOR_HAS_FMA)
  endif()
  if(NOT ONESTEP_PROCESSOR_HAS_FMA)
    message(STATUS "onestep: this processor lacks AVX2 or FMA: building without -march=${ONESTEP_MARCH}; same results, random numbers about ten times slower")
  elseif(ONESTEP_COMPILER_HAS_MARCH)
    target_compile_options(onestep_processor INTERFACE
      $<$<COMPILE_LANGUAGE:CXX>:-march=${ONESTEP_MARCH}> $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-march=${ONESTEP_MARCH}>)
  endif()
endif()
