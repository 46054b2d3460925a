#pragma once
/// Energy distance between two sample sets.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "samples.hpp"

namespace onestep {

/// A distance and what it was computed from. Converts to the distance.
struct energy_distance_report {
    double value = 0;      ///< sqrt(max(squared, 0))
    double squared = 0;    ///< the estimate itself; its mean is 0 for equal distributions, so it is often below 0 there
    index_t n = 0, m = 0;  ///< samples of x and of y

    operator double() const { return value; }
};

/// "energy_distance = 0.25 (squared = 0.0625, n = 4096, m = 1797)".
inline std::string to_string(energy_distance_report const& r) {
    return "energy_distance = " + to_string(r.value) + " (squared = " + to_string(r.squared) + ", n = " + std::to_string(r.n) +
           ", m = " + std::to_string(r.m) + ")";
}

namespace evaluation {

/// Columns of the matrix of distances that are formed at once, one a vector lane.
inline constexpr index_t pair_lanes = 16;

/// Squared distances of two rows to the samples of a [d, pair_lanes] block. Differences are taken directly: the
/// expanded square |x|^2 - 2 x.y + |y|^2 cancels for samples that are near each other.
template <class T>
void squared_distances(T const* first, T const* second, double const* block, index_t d, double (&a)[pair_lanes], double (&b)[pair_lanes]) {
    for (index_t k = 0; k < pair_lanes; ++k) a[k] = b[k] = 0;
    for (index_t e = 0; e < d; ++e, block += pair_lanes) {
        auto const x = static_cast<double>(first[e]), y = static_cast<double>(second[e]);
        for (index_t k = 0; k < pair_lanes; ++k) {
            double const p = x - block[k], q = y - block[k];
            a[k] += p * p;
            b[k] += q * q;
        }
    }
}

/// Sum of |x_i - y_j| over all i and j; over pairs i < j alone if x and y are one set. Each block of columns adds its rows
/// in order, one chain a lane, and the blocks are added in order: the same bits for any number of threads.
template <class T, class U> double sum_of_distances(int threads, host_samples<T> const& x, host_samples<U> const& y, bool one_set) {
    index_t const d = x.d, blocks = (y.n + pair_lanes - 1) / pair_lanes;
    std::vector<double> partial(static_cast<std::size_t>(blocks));
    for_each_block(threads, blocks, [&](index_t block) {
        index_t const first = block * pair_lanes, count = std::min(pair_lanes, y.n - first);
        std::vector<double> columns(static_cast<std::size_t>(d * pair_lanes));  // samples of y, element by element
        for (index_t k = 0; k < count; ++k)
            for (index_t e = 0; e < d; ++e)
                columns[static_cast<std::size_t>(e * pair_lanes + k)] = static_cast<double>(y.row(first + k)[e]);
        double lane[pair_lanes] = {}, a[pair_lanes], b[pair_lanes];
        index_t const rows = one_set ? first + count - 1 : x.n;
        for (index_t i = 0; i < rows; i += 2) {
            index_t const next = i + 1 < rows ? i + 1 : i;
            squared_distances(x.row(i), x.row(next), columns.data(), d, a, b);
            for (index_t k = one_set && i >= first ? i - first + 1 : 0; k < count; ++k) lane[k] += std::sqrt(a[k]);
            if (next == i) break;
            for (index_t k = one_set && next >= first ? next - first + 1 : 0; k < count; ++k) lane[k] += std::sqrt(b[k]);
        }
        double sum = 0;
        for (index_t k = 0; k < count; ++k) sum += lane[k];
        partial[static_cast<std::size_t>(block)] = sum;
    });
    double sum = 0;
    for (double p : partial) sum += p;
    return sum;
}

}  // namespace evaluation

/// Energy distance between samples x [n, ...] and y [m, ...],
///
///     sqrt( 2 E|X - Y| - E|X - X'| - E|Y - Y'| ),
///
/// Euclidean norms over whole samples, each mean over pairs of different samples (i != j), which makes the squared
/// estimate unbiased. Where that is below 0, the distance is 0 and `squared` says by how much.
/// Point masses at a and b are sqrt(2 |a - b|) apart: values scale as the root of the data's unit.
///
///     double far = onestep::energy_distance(x, y);
///
/// Computed on the host in double, the same bits for any number of threads. O((n + m)^2 d): fit for some thousand samples.
/// Throws shape_error if the sample shapes differ or a set has fewer than 2 samples, not_finite_error for NaN or infinity.
/// Source: Szekely, Rizzo 2013, "Energy statistics: a class of statistics based on distances".
template <class X, class Y> energy_distance_report energy_distance(X const& x, Y const& y) {
    static_assert(sample_set<X> && sample_set<Y>, "A metric compares two sets of samples: tensors or views [n, ...].");
    constexpr char const* name = "energy_distance";
    evaluation::require_comparable(name, x, y, 2);
    auto const a = evaluation::download(name, "x", x);
    auto const b = evaluation::download(name, "y", y);
    int const threads = evaluation::threads_of(x.backend());
    auto const n = static_cast<double>(a.n), m = static_cast<double>(b.n);
    double const between = evaluation::sum_of_distances(threads, a, b, false) / (n * m);
    double const within_x = 2 * evaluation::sum_of_distances(threads, a, a, true) / (n * (n - 1));
    double const within_y = 2 * evaluation::sum_of_distances(threads, b, b, true) / (m * (m - 1));
    double const squared = 2 * between - within_x - within_y;
    return {std::sqrt(std::max(squared, 0.0)), squared, a.n, b.n};
}

}  // namespace onestep
