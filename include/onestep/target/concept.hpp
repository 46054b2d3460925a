#pragma once
/// A target says what the network's output F means. Every target of a Gaussian path is a linear combination
///
///     F = p x0 + q epsilon
///
/// with p and q given by the process at t. Together with x_t = alpha x0 + sigma epsilon that is a 2 x 2 system, so any
/// target converts to any other by two coefficients (`convert`). To add your own, write `weights`.
#include <cmath>
#include <concepts>

#include "../core/spec.hpp"
#include "../process/concept.hpp"

namespace onestep {

/// F = x0 * (this) + epsilon * (that).
struct target_weights {
    double x0 = 0, epsilon = 0;
};

template <class T>
concept target = spec<T> && requires(T const& target, marginal const& m) {
    { target.weights(m) } -> std::same_as<target_weights>;
};

}  // namespace onestep
