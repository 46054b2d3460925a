#pragma once
/// What the tests of processes share: everything that a process says, against what it says of alpha and sigma.
#include <doctest/doctest.h>

#include <onestep/core/random.hpp>
#include <onestep/process/sde.hpp>

#include <cmath>

namespace onestep::test {

/// count times, uniform in (low, high); the same at every call.
template <class Visit> void at_random_times(double low, double high, int count, Visit const& visit) {
    for (int i = 0; i < count; ++i) visit(low + (high - low) * uniform(random_key{8}.at(draw::user), i));
}

/// Central difference of fourth order; `room` is how far f is smooth around t.
template <class F> double difference_quotient(F const& f, double t, double room) {
    double const h = 2e-3 * room;
    auto const d = [&](double width) { return (f(t + width) - f(t - width)) / (2 * width); };
    return (4 * d(h / 2) - d(h)) / 3;
}

/// Derivatives of alpha and sigma, and what follows from them, where the path is smooth: log_snr's slope, drift, g^2.
template <process P> void check_derivatives(P const& p, double t, double room) {
    CAPTURE(t);
    auto const check = [&](double given, auto const& f, double factor = 1) {
        double const expected = factor * difference_quotient(f, t, room);
        double const rounding = 1e-15 * (1 + std::fabs(f(t))) / (2e-3 * room) * std::fabs(factor);  // of the quotient itself
        CAPTURE(given);
        CAPTURE(expected);
        CHECK(std::fabs(given - expected) <= 1e-8 * std::fabs(expected) + rounding);
    };
    auto const log_snr = [&](double u) { return p.log_snr(u); };
    check(p.alpha_derivative(t), [&](double u) { return p.alpha(u); });
    check(p.sigma_derivative(t), [&](double u) { return p.sigma(u); });
    check(onestep::log_snr_derivative(p, t), log_snr);
    check(onestep::drift(p, t), [&](double u) { return std::log(p.alpha(u)); });
    check(onestep::diffusion_squared(p, t), log_snr, -p.sigma(t) * p.sigma(t));  // g^2 = -sigma^2 d log SNR/dt
    CHECK(onestep::diffusion(p, t) == doctest::Approx(std::sqrt(onestep::diffusion_squared(p, t))).epsilon(1e-15));
}

/// log_snr is that of alpha and sigma (`digits`: how well their ratio is known), falls, and is inverted to 1e-12 of the range.
template <process P> void check_log_snr(P const& p, double low, double high, double digits = 1e-12) {
    double const size = p.t_max();
    at_random_times(low, high, 1000, [&](double t) {
        CAPTURE(t);
        double const value = p.log_snr(t);
        CHECK(std::fabs(value - 2 * std::log(p.alpha(t) / p.sigma(t))) < digits * (1 + std::fabs(value)));
        CHECK(std::fabs(p.time_of_log_snr(value) - t) < 1e-12 * size);
        CHECK(std::fabs(onestep::time_of_noise_to_signal(p, onestep::noise_to_signal(p, t)) - t) < 1e-12 * size + digits * t);
        CHECK(p.log_snr(t + 1e-6 * (high - low)) < value);
    });
}

template <process P> void check_unit_variance(P const& p, double low, double high, double digits = 1e-15) {
    at_random_times(low, high, 1000, [&](double t) {
        CAPTURE(t);
        CHECK(std::fabs(p.alpha(t) * p.alpha(t) + p.sigma(t) * p.sigma(t) - 1) < digits);
    });
}

/// Derivatives and the log-SNR of a path that is smooth inside (low, high).
template <process P> void check_path(P const& p, double low, double high, double digits = 1e-12) {
    check_log_snr(p, low, high, digits);
    double const margin = 1e-3 * (high - low);
    at_random_times(low + margin, high - margin, 300, [&](double t) { check_derivatives(p, t, std::fmin(t - low, high - t)); });
}

}  // namespace onestep::test
