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

/// D of `convert`: zero where F and x_t say the same. A difference of the size of its own rounding counts as zero, so that
/// compilers that fuse the multiplications and those that do not agree.
template <target From> double determinant(From const& from, marginal const& m) {
    target_weights const w = from.weights(m);
    double const a = m.alpha * w.epsilon, b = m.sigma * w.x0, d = a - b;
    return std::fabs(d) <= 0x1p-51 * (std::fabs(a) + std::fabs(b)) ? 0 : d;
}

namespace conversion_rule {

/// A conversion, or the reason why there is none.
struct answer {
    conversion value;
    char const* refusal = nullptr;
};

template <target From, target To> answer find(From const& from, To const& to, marginal const& m) {
    auto const [p, q] = from.weights(m);
    auto const [r, s] = to.weights(m);
    if (p == r && q == s) return {{0, 1}};
    if (!std::isfinite(r) || !std::isfinite(s)) return {{}, "the wanted quantity is infinite there; keep the grid away from this time"};
    // What is wanted is x_t itself, scaled. Exact whatever the network says.
    if (r * m.sigma == s * m.alpha && (m.alpha != 0 || m.sigma != 0)) return {{m.alpha != 0 ? r / m.alpha : s / m.sigma, 0}};
    double const d = determinant(from, m);
    if (d != 0 && std::isfinite(d)) return {{(r * q - s * p) / d, (s * m.alpha - r * m.sigma) / d}};
    return {{}, "the two are independent of each other there; predict another target or keep the grid away from this time"};
}

}  // namespace conversion_rule

/// Whether `convert` has an answer at m.
template <target From, target To> bool is_convertible(From const& from, To const& to, marginal const& m) {
    return conversion_rule::find(from, to, m).refusal == nullptr;
}

/// Coefficients that turn a prediction F of `from`, made at x_t, into a prediction of `to`:
///
///     x0      = ( q x - sigma F) / D        F = p x0 + q epsilon
///     epsilon = (-p x + alpha F) / D        D = alpha q - sigma p
///
/// Throws domain_error where D = 0: there F says nothing that x_t does not say already (epsilon at alpha = 0, x0 at
/// sigma = 0), and where the wanted quantity is infinite (score at sigma = 0). Between equal targets the result is exactly
/// {0, 1}; at sigma = 0, x0 is x / alpha whatever F is, and at alpha = 0, epsilon is x / sigma.
template <target From, target To> conversion convert(From const& from, To const& to, marginal const& m) {
    auto const answer = conversion_rule::find(from, to, m);
    if (answer.refusal)
        raise<domain_error>(std::string(From::name) + " -> " + To::name,
                            "t is " + to_string(m.t) + " with alpha = " + to_string(m.alpha) + ", sigma = " + to_string(m.sigma),
                            answer.refusal);
    return answer.value;
}

/// The factor by which an error in F grows in the conversion: |coefficient of F|, +infinity where `convert` refuses.
///
///     epsilon -> x0   sigma / alpha            x0 -> velocity         W / sigma       W = alpha sigma' - alpha' sigma
///     x0 -> epsilon   alpha / sigma            velocity -> x0         sigma / W
template <target From, target To> double amplification(From const& from, To const& to, marginal const& m) {
    auto const answer = conversion_rule::find(from, to, m);
    return answer.refusal ? HUGE_VAL : std::fabs(answer.value.output);
}

}  // namespace onestep
