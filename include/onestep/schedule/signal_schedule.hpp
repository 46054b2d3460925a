#pragma once
/// A signal schedule is how much of the data is left at a continuous time t, as log alpha(t): 0 at t = 0 and falling.
/// `variance_preserving` and `sub_variance_preserving` are processes over one.
#include <cmath>
#include <concepts>
#include <string>

#include "../core/error.hpp"
#include "../core/spec.hpp"

namespace onestep {

template <class S>
concept signal_schedule = spec<S> && requires(S const& s, double t) {
    { s.log_alpha(t) } -> std::same_as<double>;
    { s.log_alpha_derivative(t) } -> std::same_as<double>;
    { s.time_of_log_alpha(t) } -> std::same_as<double>;  // inverse of log_alpha
    { s.t_min() } -> std::same_as<double>;               // where a solver ends
    { s.t_max() } -> std::same_as<double>;               // where it starts
};

/// d alpha / dt. A schedule whose alpha reaches 0, where log alpha has no derivative, has a member `alpha_derivative(t)`.
template <signal_schedule S> double alpha_derivative_of(S const& s, double t) {
    if constexpr (requires { s.alpha_derivative(t); }) return s.alpha_derivative(t);
    else return std::exp(s.log_alpha(t)) * s.log_alpha_derivative(t);
}

}  // namespace onestep
