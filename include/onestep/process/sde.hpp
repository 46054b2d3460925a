#pragma once
/// What follows from a process's alpha and sigma: the coefficients of the stochastic differential equation with its
/// marginals,
///
///     dx = f(t) x dt + g(t) dw,    f = alpha'/alpha,    g^2 = 2 sigma (sigma' - sigma alpha'/alpha)
///
/// and its noise-to-signal ratio sigma/alpha, the one scale on which all processes compare.
///
/// Source: Song et al. 2021 (arXiv:2011.13456), section 3.4; Kingma et al. 2021 (arXiv:2107.00630), section 3.
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// f = d log alpha / dt; never positive, -infinity where alpha = 0.
template <process P> double drift(P const& p, double t) {
    if constexpr (requires { p.drift(t); }) {
        return p.drift(t);
    } else {
        double const alpha = p.alpha(t);
        return alpha == 0 ? -HUGE_VAL : p.alpha_derivative(t) / alpha;
    }
}

/// g^2; both of its terms are positive, so nothing cancels. +infinity where alpha = 0.
/// Throws domain_error where sigma = 0 and sigma' is infinite, unless the process itself knows the limit.
template <process P> double diffusion_squared(P const& p, double t) {
    if constexpr (requires { p.diffusion_squared(t); }) {
        return p.diffusion_squared(t);
    } else {
        double const sigma = p.sigma(t), slope = p.sigma_derivative(t);
        if (sigma == 0 && std::isinf(slope))
            raise<domain_error>("diffusion_squared", "t is " + to_string(t) + " with sigma = 0 and an infinite sigma'",
                                "give the process a member diffusion_squared(t) that knows the limit, or a later t_min");
        return sigma == 0 ? 0 : 2 * sigma * (slope - sigma * onestep::drift(p, t));
    }
}

/// g.
template <process P> double diffusion(P const& p, double t) { return std::sqrt(onestep::diffusion_squared(p, t)); }

/// d log(alpha^2 / sigma^2) / dt = -g^2 / sigma^2; -infinity where alpha or sigma is 0.
template <process P> double log_snr_derivative(P const& p, double t) {
    double const alpha = p.alpha(t), sigma = p.sigma(t);
    if (alpha == 0 || sigma == 0) return -HUGE_VAL;
    return 2 * (p.alpha_derivative(t) / alpha - p.sigma_derivative(t) / sigma);
}

/// sigma/alpha: the noise level of x/alpha, which EDM calls sigma. +infinity where alpha = 0.
template <process P> double noise_to_signal(P const& p, double t) {
    double const alpha = p.alpha(t);
    return alpha == 0 ? HUGE_VAL : p.sigma(t) / alpha;
}

/// The time with that noise-to-signal ratio. Throws domain_error for a negative value or NaN.
template <process P> double time_of_noise_to_signal(P const& p, double value) {
    if (!(value >= 0)) raise<domain_error>("time_of_noise_to_signal", "sigma/alpha is " + to_string(value), "it must be >= 0");
    if constexpr (requires { p.time_of_noise_to_signal(value); }) return p.time_of_noise_to_signal(value);
    else return p.time_of_log_snr(-2 * std::log(value));
}

}  // namespace onestep
