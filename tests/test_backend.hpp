#pragma once
/// Which backend the tests of this program run on. Tests that say backend_type and device() instead of naming a backend
/// are compiled for the CPU, for Thrust's two host systems, and by nvcc.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(ONESTEP_TEST_BACKEND_GPU)
#include <onestep/backend/gpu.hpp>
#else
#include <onestep/backend/cpu.hpp>
#endif
#include <onestep/core/tensor.hpp>

namespace onestep::test {

#if defined(ONESTEP_TEST_BACKEND_GPU)
using backend_type = gpu;
#else
using backend_type = cpu;
#endif

/// Made when first asked for, so that a program without a device can leave before that.
inline backend_type& device() {
    static backend_type backend;
    return backend;
}

/// FNV-1a, 64 bits, of the bytes of all values: equal only if every bit is.
template <class T> std::uint64_t hash(std::vector<T> const& values) {
    std::uint64_t h = 0xcbf29ce484222325u;
    for (T const& value : values) {
        unsigned char bytes[sizeof(T)];
        std::memcpy(bytes, &value, sizeof(T));
        for (unsigned char byte : bytes) h = (h ^ byte) * 0x100000001b3u;
    }
    return h;
}

/// Largest |a - b|, divided by the largest |b|; infinite if the sizes differ or a value is not finite.
template <class T> double relative_difference(std::vector<T> const& a, std::vector<T> const& b) {
    if (a.size() != b.size()) return HUGE_VAL;
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return HUGE_VAL;
        difference = std::fmax(difference, std::fabs(double(a[i]) - double(b[i])));
        size = std::fmax(size, std::fabs(double(b[i])));
    }
    return difference == 0 ? 0 : difference / size;
}

}  // namespace onestep::test
