#pragma once
/// One step between two levels of a process.
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// The Gaussian law of x_s given x_t and x0, for s <= t, and the forward law of x_t given x_s:
///
///     x_s | x_t, x0 ~ N(x * x_t + x0 * x0, small_variance),    x_t | x_s ~ N(forward * x_s, large_variance)
///
/// Ancestral samplers take small_variance (exact when the data are one point) or large_variance (exact when they are white
/// noise; beta for one step of DDPM).
struct transition {
    double x = 1, x0 = 0;  ///< coefficients of the posterior mean
    double small_variance = 0, large_variance = 0;
    double forward = 1;  ///< alpha_t / alpha_s
};

/// The transition from t to s. With r = SNR_t / SNR_s and 1 - r = -expm1(log SNR_t - log SNR_s),
///
///     mean = (alpha_t/alpha_s) (sigma_s/sigma_t)^2 x_t + (1 - r) alpha_s x0
///     small_variance = (1 - r) sigma_s^2,    large_variance = (1 - r) sigma_t^2 = sigma_t^2 - (alpha_t/alpha_s)^2 sigma_s^2
///
/// which holds its digits however close s and t are, and at sigma_s = 0 (x_s is alpha_s x0) and alpha_t = 0 (x_t says
/// nothing) as well. Throws domain_error unless s <= t and the log-SNR falls from s to t.
///
/// Source: Kingma et al. 2021 (arXiv:2107.00630), appendix A; Ho, Jain, Abbeel 2020 (arXiv:2006.11239), equations 6 and 7.
template <process P> transition transition_of(P const& p, double t, double s) {
    if (!(s <= t))
        raise<domain_error>("transition_of", "s is " + to_string(s) + " and t is " + to_string(t), "a step goes towards the data: s <= t");
    if (s == t) return {};
    double const alpha_s = p.alpha(s), sigma_s = p.sigma(s), sigma_t = p.sigma(t);
    double const gain = -std::expm1(p.log_snr(t) - p.log_snr(s));  // 1 - r
    if (!(gain >= 0) || alpha_s == 0 || sigma_t == 0)
        raise<domain_error>("transition_of", "log_snr is " + to_string(p.log_snr(s)) + " at s and " + to_string(p.log_snr(t)) + " at t",
                            "it must fall from s to t");
    double const forward = p.alpha(t) / alpha_s, narrowing = sigma_s / sigma_t;
    return {forward * narrowing * narrowing, gain * alpha_s, gain * sigma_s * sigma_s, gain * sigma_t * sigma_t, forward};
}

}  // namespace onestep
