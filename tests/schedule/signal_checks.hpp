#pragma once
/// What the tests of signal schedules share.
#include <doctest/doctest.h>

#include <onestep/core/random.hpp>
#include <onestep/schedule/signal_schedule.hpp>

#include <cmath>

namespace onestep::test {

/// Falling, its derivative against difference quotients, its inverse both ways, at random times of [low, high].
template <signal_schedule S> void check_signal(S const& s, double low, double high) {
    for (int i = 0; i < 500; ++i) {
        double const t = low + (high - low) * uniform(random_key{5}.at(draw::user), i);
        CAPTURE(t);
        double const h = 1e-3 * std::fmin(t - low, high - t) + 1e-9;
        auto const slope = [&](auto const& f, double width) { return (f(t + width) - f(t - width)) / (2 * width); };
        auto const quotient = [&](auto const& f) { return (4 * slope(f, h / 2) - slope(f, h)) / 3; };
        if (t - low > 1e-3 * (high - low) && high - t > 1e-3 * (high - low)) {
            double const expected = quotient([&](double u) { return s.log_alpha(u); });
            CHECK(s.log_alpha_derivative(t) == doctest::Approx(expected).epsilon(1e-7));
            CHECK(alpha_derivative_of(s, t) == doctest::Approx(quotient([&](double u) { return std::exp(s.log_alpha(u)); })).epsilon(1e-7));
        }
        CHECK(s.log_alpha(t) < 0);
        CHECK(s.log_alpha_derivative(t) < 0);
        CHECK(std::fabs(s.time_of_log_alpha(s.log_alpha(t)) - t) < 1e-12);
    }
}

}  // namespace onestep::test
