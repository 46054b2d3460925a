#pragma once
/// Conversion between targets.
#include "../core/error.hpp"
#include "concept.hpp"

namespace onestep {

/// wanted = x * (this) + F * (that). |output| is the factor by which an error in F grows: 1 / |output| says how well
/// the conversion is conditioned.
struct conversion {
    double x = 0, output = 1;
};

/// D of `convert`: zero where F and x_t say the same.
template <target From> double determinant(From const& from, marginal const& m) {
    target_weights const w = from.weights(m);
    return m.alpha * w.epsilon - m.sigma * w.x0;
}

/// Whether `convert` has an answer at m.
template <target From, target To> bool is_convertible(From const& from, To const& to, marginal const& m) {
    auto const [p, q] = from.weights(m);
    auto const [r, s] = to.weights(m);
    double const d = determinant(from, m);
    return (p == r && q == s) || (r * m.sigma == s * m.alpha && m.alpha != 0) || (d != 0 && std::isfinite(d));
}

/// Coefficients that turn a prediction F of `from`, made at x_t, into a prediction of `to`:
///
///     x0      = ( q x - sigma F) / D        F = p x0 + q epsilon
///     epsilon = (-p x + alpha F) / D        D = alpha q - sigma p
///
/// Throws domain_error where D = 0: there F says nothing that x_t does not say already (epsilon at alpha = 0, x0 at
/// sigma = 0). Between equal targets the result is exactly {0, 1}; at sigma = 0, x0 is x / alpha whatever F is.
template <target From, target To> conversion convert(From const& from, To const& to, marginal const& m) {
    auto const [p, q] = from.weights(m);
    auto const [r, s] = to.weights(m);
    if (p == r && q == s) return {0, 1};
    if (r * m.sigma == s * m.alpha && m.alpha != 0) return {r / m.alpha, 0};  // the wanted quantity is x_t itself, scaled
    double const d = determinant(from, m);
    if (d == 0 || !std::isfinite(d))
        raise<domain_error>(std::string(From::name) + " -> " + To::name, "t is " + to_string(m.t) + " with alpha = " + to_string(m.alpha) + ", sigma = " + to_string(m.sigma),
                            "the two are independent of each other there; predict another target or keep the grid away from this time");
    return {(r * q - s * p) / d, (s * m.alpha - r * m.sigma) / d};
}

}  // namespace onestep
