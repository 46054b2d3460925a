#pragma once
/// A process is a Gaussian path from data to noise,
///
///     x_t = alpha(t) x0 + sigma(t) epsilon,    epsilon ~ N(0, I),
///
/// with t = 0 at the data and noise growing with t: the one convention of the whole library. A process is scalar
/// arithmetic in double and never sees a tensor. To add your own, write the members below; anything else (drift,
/// diffusion, velocities, conversions between targets) follows from them.
#include <concepts>
#include <cstddef>

namespace onestep {

template <class P>
concept has_signal_and_noise = requires(P const& p, double t) {
    { p.alpha(t) } -> std::same_as<double>;
    { p.sigma(t) } -> std::same_as<double>;
};
template <class P>
concept has_derivatives = requires(P const& p, double t) {
    { p.alpha_derivative(t) } -> std::same_as<double>;
    { p.sigma_derivative(t) } -> std::same_as<double>;
};
template <class P>
concept has_log_snr = requires(P const& p, double t) {
    { p.log_snr(t) } -> std::same_as<double>;       // log(alpha^2 / sigma^2), falling in t
    { p.time_of_log_snr(t) } -> std::same_as<double>;  // its inverse
};
template <class P>
concept has_time_range = requires(P const& p) {
    { p.t_min() } -> std::same_as<double>;  // where a solver ends: the data
    { p.t_max() } -> std::same_as<double>;  // where it starts: the noise
};

/// What every header above this folder asks of a process.
template <class P>
concept process = has_signal_and_noise<P> && has_derivatives<P> && has_log_snr<P> && has_time_range<P>;

/// The numbers of a process at one time: all that conversions between targets need.
struct marginal {
    double t = 0;
    double alpha = 1, sigma = 0;                         ///< x_t = alpha x0 + sigma epsilon
    double alpha_derivative = 0, sigma_derivative = 0;   ///< with respect to t
};

template <process P> marginal marginal_at(P const& p, double t) {
    return {t, p.alpha(t), p.sigma(t), p.alpha_derivative(t), p.sigma_derivative(t)};
}

}  // namespace onestep
