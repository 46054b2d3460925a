#pragma once
/// Precision, recall, density and coverage: how much of what is generated looks real, and how much of what is real is generated.
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "../backend/fill.hpp"
#include "../backend/finite.hpp"
#include "../core/math.hpp"
#include "../core/sums.hpp"
#include "centred.hpp"

namespace onestep {

/// What was found.
struct precision_recall_report {
    double precision = 0;  ///< share of generated samples inside the ball of a real one: fidelity, 0 to 1
    double recall = 0;     ///< share of real samples inside the ball of a generated one: diversity, 0 to 1
    double density = 0;    ///< real balls around a generated sample, over k, on average; about 1 for equal distributions, may exceed it
    double coverage = 0;   ///< share of real balls that hold a generated sample, 0 to 1
    index_t n = 0, m = 0;  ///< real and generated samples
    int k = 0;             ///< a ball reaches to the k-th neighbour
};

/// "precision = 0.75, recall = 0.5, density = 1.25, coverage = 0.875 (n = 4096, m = 1797, k = 3)".
inline std::string to_string(precision_recall_report const& r) {
    return "precision = " + to_string(r.precision) + ", recall = " + to_string(r.recall) + ", density = " + to_string(r.density) +
           ", coverage = " + to_string(r.coverage) + " (n = " + std::to_string(r.n) + ", m = " + std::to_string(r.m) +
           ", k = " + std::to_string(r.k) + ")";
}

namespace functor {

template <class T> struct element_square {
    T const* x;
    double const* point;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t c) const {
        double const difference = static_cast<double>(x[r * cols + c]) - point[c];
        return difference * difference;
    }
};
struct store_total {
    double* out;
    ONESTEP_HD void operator()(index_t r, double total) const { out[r] = total; }
};

/// Squared distances between a block of rows of a set and one of another, from a matrix of products a.b of centred rows. `near` is
/// |a|^2 + |b|^2 - 2 a.b and differs from `exact` by at most `error`: see precision_recall.
template <class T> struct pair_distances {
    T const *a, *b;  // the blocks as they were given
    double const *a_square, *b_square;
    index_t d;
    double unit;

    ONESTEP_HD double near(index_t r, index_t c, double product) const { return math::fma(-2.0, product, a_square[r] + b_square[c]); }
    ONESTEP_HD double error(index_t r, index_t c) const { return unit * (a_square[r] + b_square[c]); }
    /// The same bits wherever it is computed, and for (a, b) and (b, a).
    ONESTEP_HD double exact(index_t r, index_t c) const {
        T const *x = a + r * d, *y = b + c * d;
        double sum = 0;
        for (index_t e = 0; e < d; ++e) {
            double const difference = static_cast<double>(x[e]) - static_cast<double>(y[e]);
            sum = math::fma(difference, difference, sum);
        }
        return sum;
    }
};

/// Merges a row of a block into the row's k smallest squared distances, which are kept in order. `skipped` is the column that is the
/// row itself, counted from row 0 of the block.
template <class T> struct nearest {
    static constexpr index_t elements = 1024;
    pair_distances<T> distances;
    double const* products;
    index_t cols, skipped;
    double* smallest;
    index_t k;
    ONESTEP_HD void operator()(index_t r) const {
        double* const list = smallest + r * k;
        double last = list[k - 1];
        for (index_t c = 0; c < cols && last > 0; ++c) {
            double const least = distances.near(r, c, products[r * cols + c]) - distances.error(r, c);
            if (least >= last || c == skipped + r) continue;
            double const square = distances.exact(r, c);
            if (square >= last) continue;
            index_t at = k - 1;
            for (; at > 0 && list[at - 1] > square; --at) list[at] = list[at - 1];
            list[at] = square;
            last = list[k - 1];
        }
    }
};
struct read_radius {
    double const* smallest;
    index_t k;
    double* radius;
    ONESTEP_HD void operator()(index_t r) const { radius[r] = smallest[r * k + k - 1]; }
};

/// Whether b lies in the ball of a, and a in the ball of b. Leaves the first in place of the product, for `in_ball`.
template <class T> struct in_balls {
    pair_distances<T> distances;
    double* products;
    index_t cols;
    double const *a_radius, *b_radius;
    ONESTEP_HD sums<index_t, 2> operator()(index_t r, index_t c) const {
        double square = distances.near(r, c, products[r * cols + c]);
        double const error = distances.error(r, c), of_a = square - a_radius[r], of_b = square - b_radius[c];
        if ((of_a >= -error && of_a <= error) || (of_b >= -error && of_b <= error)) square = distances.exact(r, c);
        bool const in_a = square <= a_radius[r], in_b = square <= b_radius[c];
        products[r * cols + c] = in_a ? 1 : 0;
        return {{in_a ? 1 : 0, in_b ? 1 : 0}};
    }
};
struct in_ball {
    double const* flags;
    index_t cols;
    ONESTEP_HD index_t operator()(index_t r, index_t c) const { return flags[r * cols + c] > 0 ? 1 : 0; }
};
struct add_counts {
    index_t *first, *second;
    ONESTEP_HD void operator()(index_t i, sums<index_t, 2> counts) const {
        first[i] += counts.v[0];
        second[i] += counts.v[1];
    }
};
struct add_count {
    index_t* out;
    ONESTEP_HD void operator()(index_t i, index_t count) const { out[i] += count; }
};

}  // namespace functor

namespace evaluation {

/// A set of features and what every pass over pairs needs of it.
template <class T, class Backend> struct neighbourhood {
    view<T const, Backend> x;
    tensor<double, Backend> square, radius;  // [n]: squared distance to the centre, squared radius of the ball

    neighbourhood(char const* name, view<T const, Backend> features, tensor<double, Backend> const& centre)
        : x(features), square(x.backend(), {x.rows()}), radius(x.backend(), {x.rows()}) {
        x.backend().template reduce_rows<double>(x.rows(), x.cols(), functor::element_square<T>{x.data(), centre.data(), x.cols()},
                                                 functor::store_total{square.data()});
        for (double value : to_host(square))
            if (!(value <= 1e300))
                raise<not_finite_error>("precision_recall",
                                        std::string(name) + " has a squared distance of " + to_string(value) + " from the mean",
                                        "features must be so small that their squares do not overflow");
    }
};

/// Visits all pairs of rows of two sets in blocks: body(first row, rows, first column, columns, products, distances), products
/// [rows, columns] of centred rows.
template <class T, class Backend> class pair_blocks {
public:
    explicit pair_blocks(tensor<double, Backend> const& centre)
        : centre_(centre), d_(centre.size()), most_(centred_rows(1024, d_, 1024)), a_(centre.backend(), {most_, d_}),
          b_(centre.backend(), {most_, d_}), products_(centre.backend(), {most_, most_}) {}

    template <class Body> void each(neighbourhood<T, Backend> const& a, neighbourhood<T, Backend> const& b, Body const& body) {
        Backend& device = centre_.backend();
        double const unit = static_cast<double>(4 * d_ + 16) * std::numeric_limits<double>::epsilon();
        for (index_t row = 0; row < a.x.rows(); row += most_) {
            index_t const rows = part(a.x.rows() - row);
            centre(a.x.rows(row, rows), centre_, a_.data());
            for (index_t col = 0; col < b.x.rows(); col += most_) {
                index_t const cols = part(b.x.rows() - col);
                centre(b.x.rows(col, cols), centre_, b_.data());
                device.gemm(op::plain, op::transposed, rows, cols, d_, 1.0, a_.data(), d_, b_.data(), d_, 0.0, products_.data(), cols);
                body(row, rows, col, cols, products_.data(),
                     functor::pair_distances<T>{a.x.data() + row * d_, b.x.data() + col * d_, a.square.data() + row, b.square.data() + col,
                                                d_, unit});
            }
        }
    }

private:
    index_t part(index_t left) const { return left < most_ ? left : most_; }

    tensor<double, Backend> const& centre_;
    index_t d_, most_;
    tensor<double, Backend> a_, b_, products_;
};

/// The squared distance of every sample to its k-th neighbour in the set, itself left out.
template <class T, class Backend> void find_radii(pair_blocks<T, Backend>& blocks, neighbourhood<T, Backend>& set, index_t k) {
    Backend& device = set.x.backend();
    tensor<double, Backend> smallest(device, {set.x.rows(), k});
    fill(smallest.view(), std::numeric_limits<double>::infinity());
    blocks.each(set, set, [&](index_t row, index_t rows, index_t col, index_t cols, double* products, auto const& distances) {
        device.for_each_index(rows, functor::nearest<T>{distances, products, cols, row - col, smallest.data() + row * k, k});
    });
    device.for_each_index(set.x.rows(), functor::read_radius{smallest.data(), k, set.radius.data()});
}

}  // namespace evaluation

/// Precision and recall of generated features against real ones, with density and coverage. Around each sample of a set lies a closed
/// ball that reaches to its k-th neighbour in that set (itself not counted, copies of it counted):
///
///     precision = share of generated samples in at least one ball of a real sample
///     recall    = share of real samples in at least one ball of a generated one
///     density   = real balls that hold a generated sample, mean over generated samples / k
///     coverage  = share of balls of real samples that hold at least one generated sample
///
/// real [n, d] and generated [m, d] (or samples [n, ...], taken as rows) lie on one backend, float or double.
///
///     auto quality = onestep::precision_recall(features_of_data, features_of_samples);
///
/// All four depend on n, m and k: compare values of equal n, m and k alone. The papers take n = m, k = 3 for precision and recall, k = 5
/// for density and coverage. A single outlier among the real samples has a large ball and raises precision; density and coverage
/// suffer less from that.
///
/// Exactness: |a|^2 + |b|^2 - 2 a.b from products in double is off by up to about 1e-15 d (|a|^2 + |b|^2), which is all of the distance
/// of two copies. So it only decides what is clear; wherever it lies that near to what it is compared with, the sum of squared differences
/// is formed instead. The results are those of direct differences, the same on every backend, for any number of threads. Ties count as
/// inside: a generated sample that equals a real sample's k-th neighbour is in that one's ball, and a set compared with itself has
/// precision, recall and coverage 1 but density 1 + 1 / k (implementations with open balls give it 1). More than k copies of a sample give
/// a ball of radius 0, which holds further copies.
///
/// Cost: 2 d (n^2 + n m + m^2) operations in products of the backend. Memory: three blocks of at most 16 MiB while d <= 16384 (1 KiB d for
/// two of them beyond) and 8 k bytes a sample; no matrix of all distances. Throws domain_error for k < 1, shape_error if d differs or a set
/// has not more than k samples, not_finite_error for NaN or infinity. Source: Kynkaanniemi et al. 2019 (arXiv:1904.06991), precision and
/// recall; Naeem et al. 2020 (arXiv:2002.09797), density and coverage.
template <class Real, class Generated> precision_recall_report precision_recall(Real const& real, Generated const& generated, int k = 3) {
    static_assert(sample_set<Real> && sample_set<Generated>, "A metric compares two sets of samples: tensors or views [n, ...].");
    static_assert(std::is_same_v<typename Real::value_type, typename Generated::value_type> &&
                      std::is_same_v<typename Real::backend_type, typename Generated::backend_type>,
                  "Precision and recall compare samples of one element type on one backend.");
    using value_type = typename Real::value_type;
    using backend_type = typename Real::backend_type;
    constexpr char const* name = "precision_recall";
    if (k < 1) raise<domain_error>(name, "k is " + std::to_string(k), "at least 1 neighbour is needed");
    auto const enough = [&](char const* set, shape const& s, index_t size) {
        if (size == 0 || s.rows() <= k)
            raise<shape_error>(name, std::string(set) + " is " + (size == 0 && s.rank() == 0 ? "empty" : to_string(s)),
                               "more than k = " + std::to_string(k) + " samples are needed");
    };
    enough("real", real.shape(), real.size());
    enough("generated", generated.shape(), generated.size());
    if (!(real.shape().with_rows(1) == generated.shape().with_rows(1)))
        raise<shape_error>(name, "generated is " + to_string(generated.shape()),
                           "its samples are compared with real, which is " + to_string(real.shape(), "n"));
    auto const of_real = evaluation::view_of(real), of_generated = evaluation::view_of(generated);
    require_finite("precision_recall: real", of_real);
    require_finite("precision_recall: generated", of_generated);

    backend_type& device = of_real.backend();
    index_t const n = of_real.rows(), m = of_generated.rows();
    auto const centre = evaluation::mean_of(of_real);  // norms far larger than distances would leave little to products
    evaluation::neighbourhood<value_type, backend_type> a("real", of_real, centre), b("generated", of_generated, centre);
    evaluation::pair_blocks<value_type, backend_type> blocks(centre);
    evaluation::find_radii(blocks, a, k);
    evaluation::find_radii(blocks, b, k);

    // For each real sample the generated ones in its ball and the generated balls around it; for each generated one the real balls around
    // it.
    tensor<index_t, backend_type> held(device, {n}), around_real(device, {n}), around_generated(device, {m});
    for (auto* counts : {&held, &around_real, &around_generated}) fill(counts->view(), 0);
    blocks.each(a, b, [&](index_t row, index_t rows, index_t col, index_t cols, double* products, auto const& distances) {
        device.template reduce_rows<sums<index_t, 2>>(
            rows, cols, functor::in_balls<value_type>{distances, products, cols, a.radius.data() + row, b.radius.data() + col},
            functor::add_counts{held.data() + row, around_real.data() + row});
        device.template reduce_columns<index_t>(rows, cols, functor::in_ball{products, cols},
                                                functor::add_count{around_generated.data() + col});
    });

    // Shares of samples with a count above 0, and the sum of all counts.
    auto const share_and_sum = [](tensor<index_t, backend_type> const& counts) {
        index_t some = 0, sum = 0;
        for (index_t count : to_host(counts)) {
            some += count > 0 ? 1 : 0;
            sum += count;
        }
        return std::pair(static_cast<double>(some) / static_cast<double>(counts.size()), static_cast<double>(sum));
    };
    auto const [precision, balls] = share_and_sum(around_generated);
    return {precision,
            share_and_sum(around_real).first,
            balls / (static_cast<double>(k) * static_cast<double>(m)),
            share_and_sum(held).first,
            n,
            m,
            k};
}

}  // namespace onestep
