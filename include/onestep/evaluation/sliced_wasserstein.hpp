#pragma once
/// Sliced Wasserstein distance of order 2 between two sample sets.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "../core/random.hpp"
#include "samples.hpp"

namespace onestep {

/// The numbers of a sliced Wasserstein distance.
struct sliced_wasserstein_options {
    int directions = 512;    ///< >= 1; the spread of the estimate falls with their root
    std::uint64_t seed = 0;  ///< fixes the directions: compare values made with one seed
};

/// A distance and what it was computed from. Converts to the distance.
struct sliced_wasserstein_report {
    double value = 0;
    index_t n = 0, m = 0;  ///< samples of x and of y
    int directions = 0;
    std::uint64_t seed = 0;

    operator double() const { return value; }
};

/// "sliced_wasserstein = 0.25 (n = 4096, m = 1797, directions = 512, seed = 0)".
inline std::string to_string(sliced_wasserstein_report const& r) {
    return "sliced_wasserstein = " + to_string(r.value) + " (n = " + std::to_string(r.n) + ", m = " + std::to_string(r.m) +
           ", directions = " + std::to_string(r.directions) + ", seed = " + std::to_string(r.seed) + ")";
}

namespace evaluation {

/// Squared Wasserstein distance of order 2 of two sorted sets on a line: the integral over (0, 1) of (F^-1 - G^-1)^2.
/// Both quantile functions are steps, so the integral is a finite sum, exact for n != m too. Neighbouring pieces with
/// the same pair of values count as one and weights are ratios of whole numbers: repeating every sample of a set
/// changes no bit.
inline double squared_wasserstein(std::vector<double> const& x, std::vector<double> const& y) {
    auto const n = static_cast<std::int64_t>(x.size()), m = static_cast<std::int64_t>(y.size());
    double const whole = static_cast<double>(n) * static_cast<double>(m);
    double sum = 0;
    std::int64_t start = 0;  // levels are counted in units of 1 / (n m)
    for (std::size_t i = 0, j = 0; i < x.size();) {
        double const a = x[i], b = y[j];
        std::int64_t end = start;
        while (i < x.size() && x[i] == a && y[j] == b) {
            std::int64_t const of_x = static_cast<std::int64_t>(i + 1) * m, of_y = static_cast<std::int64_t>(j + 1) * n;
            end = of_x < of_y ? of_x : of_y;
            if (of_x == end) ++i;
            if (of_y == end) ++j;
        }
        sum += static_cast<double>(end - start) / whole * ((a - b) * (a - b));
        start = end;
    }
    return sum;
}

/// Stores deviates as they come.
struct store_deviate {
    float* to;
    void operator()(index_t, index_t position, float z) const { to[position] = z; }
};

/// Directions are projected on this many at a time, one a vector lane.
inline constexpr index_t direction_lanes = 16;

/// `count` directions from number `first` on, uniform on the sphere, as columns of a [d, direction_lanes] block.
/// Direction k is row k of the stream whatever the other directions are.
inline std::vector<double> direction_block(std::uint64_t seed, index_t first, index_t count, index_t d) {
    std::vector<float> deviates(static_cast<std::size_t>(count * d));
    with_normals<16, store_deviate> const fill{{deviates.data()}, random_key{seed}.from_row(first).at(draw::direction), count, d};
    for (index_t item = 0; item < fill.items(); ++item) fill(item);
    std::vector<double> block(static_cast<std::size_t>(d * direction_lanes));
    for (index_t k = 0; k < count; ++k) {
        float const* z = deviates.data() + k * d;
        double square = 0;
        for (index_t e = 0; e < d; ++e) square += static_cast<double>(z[e]) * z[e];
        double const scale = square > 0 ? 1 / std::sqrt(square) : 0;
        for (index_t e = 0; e < d; ++e) block[static_cast<std::size_t>(e * direction_lanes + k)] = scale * z[e];
        if (!(square > 0)) block[static_cast<std::size_t>(k)] = 1;  // all deviates 0 can happen for d <= 2, once in 2^25
    }
    return block;
}

/// Projections of all samples on the directions of a block, sorted, one vector a direction.
template <class T>
std::vector<std::vector<double>> sorted_projections(host_samples<T> const& s, std::vector<double> const& block, index_t count) {
    std::vector<std::vector<double>> lines(static_cast<std::size_t>(count), std::vector<double>(static_cast<std::size_t>(s.n)));
    for (index_t i = 0; i < s.n; ++i) {
        T const* x = s.row(i);
        double const* w = block.data();
        double dot[direction_lanes] = {};
        for (index_t e = 0; e < s.d; ++e, w += direction_lanes)
            for (index_t k = 0; k < direction_lanes; ++k) dot[k] += static_cast<double>(x[e]) * w[k];
        for (index_t k = 0; k < count; ++k) lines[static_cast<std::size_t>(k)][static_cast<std::size_t>(i)] = dot[k];
    }
    for (auto& line : lines) std::sort(line.begin(), line.end());
    return lines;
}

}  // namespace evaluation

/// Sliced Wasserstein distance of order 2 between samples x [n, ...] and y [m, ...],
///
///     sqrt( mean over directions w of W2(w . x, w . y)^2 ),
///
/// w uniform on the sphere, W2 exact on each line, n and m as they are.
///
/// Scale: a shift of all samples by a vector v gives |v| / sqrt(d) in the limit of many directions, d elements a sample;
/// multiply by sqrt(d) to compare different d. In one dimension it is W2 itself. Two sets of one distribution do not give
/// 0: report the value between two halves of the data beside it.
///
///     double far = onestep::sliced_wasserstein(x, y);
///
/// Computed on the host in double, the same bits for any number of threads and any order of the samples.
/// O(directions (n + m) (d + log n)). Throws shape_error if the sample shapes differ or a set is empty, domain_error for
/// directions < 1, not_finite_error for NaN or infinity in a set.
/// Source: Bonneel, Rabin, Peyre, Pfister 2015, "Sliced and Radon Wasserstein barycenters of measures".
template <class X, class Y> sliced_wasserstein_report sliced_wasserstein(X const& x, Y const& y, sliced_wasserstein_options options = {}) {
    static_assert(sample_set<X> && sample_set<Y>, "A metric compares two sets of samples: tensors or views [n, ...].");
    constexpr char const* name = "sliced_wasserstein";
    evaluation::require_comparable(name, x, y, 1);
    if (options.directions < 1) raise<domain_error>(name, "directions is " + std::to_string(options.directions), "at least 1 is needed");
    auto const a = evaluation::download(name, "x", x);
    auto const b = evaluation::download(name, "y", y);

    index_t const directions = options.directions, lanes = evaluation::direction_lanes;
    std::vector<double> squares(static_cast<std::size_t>(directions));
    evaluation::for_each_block(evaluation::threads_of(x.backend()), (directions + lanes - 1) / lanes, [&](index_t block) {
        index_t const first = block * lanes, count = std::min(lanes, directions - first);
        auto const w = evaluation::direction_block(options.seed, first, count, a.d);
        auto const of_x = evaluation::sorted_projections(a, w, count);
        auto const of_y = evaluation::sorted_projections(b, w, count);
        for (index_t k = 0; k < count; ++k) {
            auto const at = static_cast<std::size_t>(k);
            squares[static_cast<std::size_t>(first + k)] = evaluation::squared_wasserstein(of_x[at], of_y[at]);
        }
    });
    double sum = 0;
    for (double square : squares) sum += square;
    return {std::sqrt(sum / static_cast<double>(directions)), a.n, b.n, options.directions, options.seed};
}

}  // namespace onestep
