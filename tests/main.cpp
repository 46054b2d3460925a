#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#if defined(__CUDACC__)
#include <onestep/backend/gpu.hpp>
#endif

int main(int count, char** arguments) {
#if defined(__CUDACC__)
    if (onestep::device_count() == 0) {
        std::puts("SKIPPED: no usable CUDA device");
        return 77;  // ctest's SKIP_RETURN_CODE in tests/cuda/CMakeLists.txt
    }
#endif
    return doctest::Context(count, arguments).run();
}
