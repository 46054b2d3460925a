#pragma once
/// What the tests of noise schedules share.
#include <doctest/doctest.h>

#include <onestep/schedule/noise_table.hpp>

#include <cmath>

namespace onestep::test {

/// alpha_bar and its complement against a product in long double: 19 digits, so that the naive form is good enough.
inline void check_products(noise_table const& t) {
    REQUIRE(t.beta.size() == t.alpha_bar.size());
    REQUIRE(t.beta.size() == t.variance.size());
    long double product = 1;
    double worst_signal = 0, worst_noise = 0, above = 1;
    for (std::size_t i = 0; i < t.beta.size(); ++i) {
        product *= 1 - static_cast<long double>(t.beta[i]);
        if (product > 0) worst_signal = std::fmax(worst_signal, static_cast<double>(std::fabs(t.alpha_bar[i] / product - 1)));
        worst_noise = std::fmax(worst_noise, static_cast<double>(std::fabs(t.variance[i] / (1 - product) - 1)));
        CHECK(t.alpha_bar[i] < above);
        above = t.alpha_bar[i];
    }
    CHECK(worst_signal < 3e-14);
    CHECK(worst_noise < 3e-14);
}

/// beta against 1 - f((i + 1)/N) / f(i/N), in long double, at most cap.
template <class AlphaBar> void check_ratios(noise_table const& t, double cap, AlphaBar const& f) {
    double worst = 0;
    auto const n = static_cast<long double>(t.steps());
    for (int i = 0; i < t.steps(); ++i) {
        long double const expected = std::fmin(1 - f((i + 1) / n) / f(i / n), static_cast<long double>(cap));
        worst = std::fmax(worst, static_cast<double>(std::fabs(t.beta[static_cast<std::size_t>(i)] / expected - 1)));
    }
    CHECK(worst < 3e-13);  // what long double itself loses in 1 - ratio at the smallest beta
}

}  // namespace onestep::test
