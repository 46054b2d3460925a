#pragma once
/// Values for tests of networks.
#include <cmath>
#include <vector>

#include <onestep/core/random.hpp>
#include <onestep/core/tensor.hpp>

namespace onestep::test {

/// `count` deviates N(0, deviation^2); another `use` gives others.
template <class T> std::vector<T> normals(index_t count, std::uint64_t use, double deviation = 1) {
    std::vector<T> z(static_cast<std::size_t>(count));
    random_stream const stream = random_key{2024}.at(draw::probe, use);
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = static_cast<T>(deviation * static_cast<double>(normal_deviate(stream, 0, i)));
    return z;
}

/// a + factor b.
template <class T> std::vector<T> along(std::vector<T> a, double factor, std::vector<T> const& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += static_cast<T>(factor * static_cast<double>(b[i]));
    return a;
}

template <class T> double dot(std::vector<T> const& a, std::vector<T> const& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
}

/// Derivative of f(0 + h) at h = 0, fourth order.
template <class F> double slope(double h, F const& f) { return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h); }

inline double silu_in_double(double x) { return x / (1 + std::exp(-x)); }
inline double silu_slope_in_double(double x) {
    double const s = 1 / (1 + std::exp(-x));
    return s + x * s * (1 - s);
}

}  // namespace onestep::test
