#pragma once
/// What tests of densities share.
#include <algorithm>
#include <cmath>
#include <vector>

#include <onestep/time/density.hpp>

#include <doctest/doctest.h>

namespace onestep::test {

/// n sorted times of a density.
template <class Density, class Process>
std::vector<double> sorted_times(Density const& density, Process const& p, index_t n, std::uint64_t seed) {
    auto const stream = random_key{seed}.at(draw::time);
    std::vector<double> times;
    for (index_t r = 0; r < n; ++r) times.push_back(density.sample(p, stream, r));
    std::sort(times.begin(), times.end());
    return times;
}

/// Kolmogorov and Smirnov's test of 2^16 times against a distribution function F. By Massart's inequality P(largest
/// difference > d) <= 2 exp(-2 n d^2): with d = 0.0115 at most 6 seeds in 100 million fail.
template <class Density, class Process, class F>
void check_distribution(Density const& density, Process const& p, F const& distribution, std::uint64_t seed = 31) {
    constexpr index_t n = 1 << 16;
    auto const times = sorted_times(density, p, n, seed);
    double largest = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        double const exact = distribution(times[i]);
        largest = std::max({largest, std::fabs(exact - static_cast<double>(i) / n), std::fabs(exact - static_cast<double>(i + 1) / n)});
    }
    CHECK(largest < 0.0115);
    CHECK(times.front() >= p.t_min());
    CHECK(times.back() <= p.t_max());
}

/// A row's time depends on the stream and the row's global number alone.
template <class Density, class Process> void check_rows(Density const& density, Process const& p) {
    auto const stream = random_key{33, 4, 0}.at(draw::time), later = random_key{33, 4, 100}.at(draw::time),
               other = random_key{33, 5, 0}.at(draw::time);
    int differ = 0;
    for (index_t r = 0; r < 200; ++r) {
        CHECK(density.sample(p, stream, r + 100) == density.sample(p, later, r));
        differ += density.sample(p, stream, r) != density.sample(p, other, r);
    }
    CHECK(differ > 150);
}

/// Standard normal distribution function.
inline double normal_distribution(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

}  // namespace onestep::test
