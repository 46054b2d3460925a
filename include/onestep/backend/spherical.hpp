#pragma once
/// Interpolation of noise.
#include <cmath>

#include "../core/error.hpp"
#include "../core/math.hpp"
#include "../core/spec.hpp"
#include "../core/tensor.hpp"
#include "concept.hpp"

namespace onestep {

namespace functor {
/// |a|^2, |b|^2 and a . b of a row.
struct row_products {
    double aa = 0, bb = 0, ab = 0;
    ONESTEP_HD row_products& operator+=(row_products const& other) {
        aa += other.aa;
        bb += other.bb;
        ab += other.ab;
        return *this;
    }
};
template <class T> struct row_product_term {
    T const *a, *b;
    index_t cols;
    ONESTEP_HD row_products operator()(index_t row, index_t col) const {
        auto const x = static_cast<double>(a[row * cols + col]), y = static_cast<double>(b[row * cols + col]);
        return {x * x, y * y, x * y};
    }
};
/// The two weights of a row.
template <class T> struct store_arc {
    T* weights;
    double fraction;
    ONESTEP_HD void operator()(index_t row, row_products const& sums) const {
        double const size = math::sqrt(sums.aa) * math::sqrt(sums.bb), cosine = size > 0 ? sums.ab / size : 1;
        double first = 1 - fraction, second = fraction;
        if (cosine > -0.999999 && cosine < 0.999999) {
            double const angle = ::acos(cosine), sine = ::sin(angle);
            first = ::sin((1 - fraction) * angle) / sine;
            second = ::sin(fraction * angle) / sine;
        }
        weights[2 * row] = static_cast<T>(first);
        weights[2 * row + 1] = static_cast<T>(second);
    }
};
template <class T> struct weigh_rows {
    T const *a, *b, *weights;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t row, index_t col) const {
        index_t const i = row * cols + col;
        out[i] = math::fma(weights[2 * row], a[i], weights[2 * row + 1] * b[i]);
    }
};
}  // namespace functor

/// Moves along the arc from noise a to noise b, each sample on its own:
///
///     out = a sin((1 - f) angle) / sin(angle) + b sin(f angle) / sin(angle),    angle between a's sample and b's
///
/// f = 0 gives a, f = 1 gives b. Between independent noises of many elements (at right angles, of equal length) every f gives noise of
/// the same deviation, which f a + (1 - f) b does not: half way it is shorter by sqrt(2), and a sampler answers with a dull average.
/// Samples that are parallel or opposite to within 0.1 degrees, or zero, are joined by a straight line.
///
/// `out` may be a or b. Two passes. Throws shape_error unless all have one shape, domain_error unless 0 <= f <= 1.
/// Source: Shoemake 1985; for noise Song, Meng, Ermon 2020 (arXiv:2010.02502), section 5.3.
template <class T, backend Backend>
void spherical(std::type_identity_t<view<T const, Backend>> a, std::type_identity_t<view<T const, Backend>> b, double fraction,
               view<T, Backend> out) {
    require_shape("spherical", "b", b, a.shape());
    require_shape("spherical", "out", out, a.shape());
    if (!(fraction >= 0 && fraction <= 1))
        raise<domain_error>("spherical", "the fraction is " + to_string(fraction), "it must be in [0, 1]");
    Backend& device = out.backend();
    index_t const n = out.rows(), d = out.cols();
    auto const memory = device.scratch();
    T* const weights = memory->template take<T>(2 * n);
    device.template reduce_rows<functor::row_products>(n, d, functor::row_product_term<T>{a.data(), b.data(), d},
                                                       functor::store_arc<T>{weights, fraction});
    device.for_each_pair(n, d, functor::weigh_rows<T>{a.data(), b.data(), weights, out.data(), d});
}
/// The same as a new tensor.
template <class T, backend Backend>
tensor<T, Backend> spherical(tensor<T, Backend> const& a, tensor<T, Backend> const& b, double fraction) {
    tensor<T, Backend> out(a.backend(), a.shape());
    spherical(a, b, fraction, out.view());
    return out;
}

}  // namespace onestep
