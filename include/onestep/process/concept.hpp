#pragma once
/// A process is a Gaussian path from data to noise,
///
///     x_t = alpha(t) x0 + sigma(t) epsilon,    epsilon ~ N(0, I),
///
/// with t = 0 at the data and noise growing with t: the one convention of the whole library. A process is scalar
/// arithmetic in double and never sees a tensor. To add your own, write the members below; anything else (drift,
/// diffusion, velocities, conversions between targets) follows from them. `custom_process` makes one from alpha and sigma
/// alone.
///
/// A process may say more; where it does not, the library takes what stands on the right:
///
///     double network_time(double t)           what the network is told of t                     t
///     double prior_scale()                    deviation of x at t_max where sampling starts     sigma(t_max)
///     double drift(double t)                  f of the process's SDE (sde.hpp)                  alpha'/alpha
///     double diffusion_squared(double t)      g^2 of it                                         from sigma, sigma' and f
///     double time_of_noise_to_signal(double)  inverse of sigma/alpha                            by time_of_log_snr
///     int steps()                             it has levels t = 1 .. steps (discrete_process)   it has none
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
    { p.log_snr(t) } -> std::same_as<double>;          // log(alpha^2 / sigma^2), falling in t
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
    double alpha = 1, sigma = 0;                        ///< x_t = alpha x0 + sigma epsilon
    double alpha_derivative = 0, sigma_derivative = 0;  ///< with respect to t
};

/// A process made of levels: t = 1 .. steps() are those that a network was trained on, t = 0 is the data.
template <class P>
concept discrete_process = process<P> && requires(P const& p) {
    { p.steps() } -> std::same_as<int>;
};

/// What the network is told of t: the process's `network_time(t)` if it has one, else t.
template <process P> double network_time_of(P const& p, double t) {
    if constexpr (requires { p.network_time(t); }) return p.network_time(t);
    else return t;
}

/// Deviation of x at t_max that sampling starts from: the process's `prior_scale()` if it has one, else sigma(t_max).
template <process P> double prior_scale_of(P const& p) {
    if constexpr (requires { p.prior_scale(); }) return p.prior_scale();
    else return p.sigma(p.t_max());
}

template <process P> marginal marginal_at(P const& p, double t) {
    return {t, p.alpha(t), p.sigma(t), p.alpha_derivative(t), p.sigma_derivative(t)};
}

}  // namespace onestep
