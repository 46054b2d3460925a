#pragma once
/// A target says what the network's output F means. Every target of a Gaussian path is a linear combination
///
///     F = p x0 + q epsilon
///
/// with p and q given by the process at t. Together with x_t = alpha x0 + sigma epsilon that is a 2 x 2 system, so any
/// target converts to any other by two coefficients (`convert`). To add your own, write `weights`.
///
/// A target may also say how the network is asked; where it does not, the library takes what stands on the right:
///
///     double input_scale(marginal const& m)     the network reads input_scale * x_t        1
///     double network_time(marginal const& m)    what the network is told of t              the process's, which is t by default
#include <cmath>
#include <concepts>

#include "../core/error.hpp"
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

/// The network wants x_t scaled.
template <class T>
concept scales_input = requires(T const& target, marginal const& m) {
    { target.input_scale(m) } -> std::same_as<double>;
};
/// The network has a clock of its own.
template <class T>
concept tells_network_time = requires(T const& target, marginal const& m) {
    { target.network_time(m) } -> std::same_as<double>;
};

/// The factor on x_t before it enters the network: the target's, or 1.
template <target T> double input_scale_of(T const& target, marginal const& m) {
    if constexpr (scales_input<T>) return target.input_scale(m);
    else return 1;
}

/// Whether the network can be told the time t: false where its clock is infinite (log sigma at sigma = 0).
template <target T, process P> bool has_network_time(T const& target, P const& p, double t) {
    if constexpr (tells_network_time<T>) return std::isfinite(target.network_time(marginal_at(p, t)));
    else return std::isfinite(onestep::network_time_of(p, t));
}

/// What the network is told of t: by the target if it has a clock, else by the process.
/// Throws domain_error where that is not finite.
template <target T, process P> double network_time_of(T const& target, P const& p, double t) {
    double value;
    if constexpr (tells_network_time<T>) value = target.network_time(marginal_at(p, t));
    else value = onestep::network_time_of(p, t);
    if (!std::isfinite(value))
        raise<domain_error>(T::name,
                            "t is " + to_string(t) + " with alpha = " + to_string(p.alpha(t)) + ", sigma = " + to_string(p.sigma(t)),
                            "what the network is told of it is " + to_string(value) + " there; keep the grid away from this time");
    return value;
}

}  // namespace onestep
