#include <onestep/process/transition.hpp>

#include <onestep/process/cosine_flow.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/schedule/cosine_schedule.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>

#include "path_checks.hpp"

#include <algorithm>

namespace transition_tests {

using onestep::transition;
using onestep::transition_of;

namespace {

auto near(double expected) { return doctest::Approx(expected).epsilon(1e-12).scale(1e-300); }  // relative; 0 equals 0

/// Two steps are one, forwards (x_t given x_u) and backwards (x_u given x_t and x0), and the marginals are kept.
template <class P> void check_composition(P const& p, double low, double high) {
    auto const draw = [&](int i) { return low + (high - low) * onestep::uniform(onestep::random_key{4}.at(onestep::draw::user), i); };
    for (int i = 0; i < 300; ++i) {
        double times[] = {draw(3 * i), draw(3 * i + 1), draw(3 * i + 2)};
        std::sort(times, times + 3);
        double const u = times[0], s = times[1], t = times[2];
        CAPTURE(u);
        CAPTURE(s);
        CAPTURE(t);
        if (s - u < 1e-3 * (high - low) || t - s < 1e-3 * (high - low)) continue;
        transition const first = transition_of(p, t, s), second = transition_of(p, s, u), both = transition_of(p, t, u);
        CHECK(both.forward == near(first.forward * second.forward));
        CHECK(both.large_variance == near(first.large_variance + first.forward * first.forward * second.large_variance));
        CHECK(both.x == near(second.x * first.x));
        CHECK(both.x0 == near(second.x * first.x0 + second.x0));
        CHECK(both.small_variance == near(second.small_variance + second.x * second.x * first.small_variance));
        // x_t = alpha_t x0 + sigma_t epsilon goes to x_s of the same form
        CHECK(first.x * p.alpha(t) + first.x0 == near(p.alpha(s)));
        CHECK(first.x * first.x * p.sigma(t) * p.sigma(t) + first.small_variance == near(p.sigma(s) * p.sigma(s)));
        CHECK(first.forward * first.forward * p.sigma(s) * p.sigma(s) + first.large_variance == near(p.sigma(t) * p.sigma(t)));
    }
}

}  // namespace

TEST_CASE("transition: two steps are one step, and marginals are kept") {
    check_composition(onestep::variance_preserving{}, 1e-3, 1);
    check_composition(onestep::sub_variance_preserving{}, 1e-3, 1);
    check_composition(onestep::variance_exploding{}, 0, 1);
    check_composition(onestep::edm{}, 0.002, 80);
    check_composition(onestep::rectified_flow{}, 0, 1);
    check_composition(onestep::trigonometric_flow{}, 0, 1.5645);
    check_composition(onestep::cosine_flow{}, 0, 1);
    check_composition(onestep::discrete{}, 0, 1000);
    check_composition(onestep::discrete{onestep::zero_terminal_snr{}}, 0, 1000);
}

TEST_CASE("transition: first coefficient is that of x_s given x_t alone") {
    // x_s and x_t given x0 are jointly Gaussian with covariance forward * sigma_s^2: regression gives the posterior.
    onestep::rectified_flow const p;
    double const t = 0.7, s = 0.4, forward = p.alpha(t) / p.alpha(s);
    double const slope = forward * p.sigma(s) * p.sigma(s) / (p.sigma(t) * p.sigma(t));
    transition const step = transition_of(p, t, s);
    CHECK(step.forward == near(forward));
    CHECK(step.x == near(slope));
    CHECK(step.x0 == near(p.alpha(s) - slope * p.alpha(t)));
    CHECK(step.small_variance == near(p.sigma(s) * p.sigma(s) - slope * forward * p.sigma(s) * p.sigma(s)));
    CHECK(step.large_variance == near(p.sigma(t) * p.sigma(t) - forward * forward * p.sigma(s) * p.sigma(s)));
}

TEST_CASE("transition: DDPM's golden coefficients") {
    transition const step = transition_of(onestep::discrete{}, 501, 500);
    CHECK(step.x0 == near(0.003058057075629619));
    CHECK(step.x == near(0.9941043507567255));
    CHECK(step.small_variance == near(0.010051335778909593));
    CHECK(step.large_variance == near(1e-4 + 0.0199 * 500 / 999));
}

TEST_CASE("transition: c1, c2 and both variances of every step of a table") {
    auto const check = [](auto const& p) {
        auto const& table = p.table();
        long double before = 1;
        for (int i = 0; i < p.steps(); ++i) {
            long double const beta = table.beta[static_cast<std::size_t>(i)], after = before * (1 - beta);
            transition const step = transition_of(p, i + 1, i);
            CAPTURE(i);
            CHECK(step.x0 == near(static_cast<double>(beta * std::sqrt(before) / (1 - after))));
            CHECK(step.x == near(static_cast<double>((1 - before) * std::sqrt(1 - beta) / (1 - after))));
            CHECK(step.small_variance == near(static_cast<double>(beta * (1 - before) / (1 - after))));
            CHECK(step.large_variance == near(static_cast<double>(beta)));
            CHECK(step.forward == near(static_cast<double>(std::sqrt(1 - beta))));
            before = after;
        }
    };
    check(onestep::discrete{});
    check(onestep::discrete{onestep::cosine_schedule{}});
    check(onestep::discrete{onestep::zero_terminal_snr{}});
}

TEST_CASE("transition: to the data, from pure noise, and both") {
    onestep::rectified_flow const p;
    transition const last = transition_of(p, 0.25, 0);  // sigma_s = 0: x_s is x0
    CHECK(last.x == 0);
    CHECK(last.x0 == 1);
    CHECK(last.small_variance == 0);
    CHECK(last.large_variance == 0.0625);
    CHECK(last.forward == 0.75);
    transition const first = transition_of(p, 1, 0.75);  // alpha_t = 0: x_t says nothing, x_s is the marginal given x0
    CHECK(first.x == 0);
    CHECK(first.x0 == 0.25);
    CHECK(first.small_variance == 0.5625);
    CHECK(first.large_variance == 1);
    CHECK(first.forward == 0);
    transition const whole = transition_of(p, 1, 0);
    CHECK(whole.x == 0);
    CHECK(whole.x0 == 1);
    CHECK(whole.small_variance == 0);
    CHECK(whole.large_variance == 1);
}

TEST_CASE("transition: a step of nothing changes nothing") {
    for (double t : {0.0, 0.5, 1.0}) {
        transition const step = transition_of(onestep::rectified_flow{}, t, t);
        CHECK(step.x == 1);
        CHECK(step.x0 == 0);
        CHECK(step.small_variance == 0);
        CHECK(step.large_variance == 0);
        CHECK(step.forward == 1);
    }
}

TEST_CASE("transition: short steps keep their digits") {
    // sigma_t^2 - forward^2 sigma_s^2 as it stands would lose 8 of 16 digits here.
    onestep::edm const p;
    double const s = 1, t = 1 + 0x1p-27;
    CHECK(transition_of(p, t, s).large_variance == doctest::Approx((t - s) * (t + s)).epsilon(1e-15).scale(1e-300));
}

TEST_CASE("transition: refuses the other direction and a process whose log-SNR does not fall") {
    CHECK_THROWS_WITH_AS(transition_of(onestep::edm{}, 1, 2),
                         "domain_error: transition_of: s is 2 and t is 1, a step goes towards the data: s <= t", onestep::domain_error);
    CHECK_THROWS_AS(transition_of(onestep::edm{}, std::nan(""), 1), onestep::domain_error);
    struct rising : onestep::edm {
        double log_snr(double t) const { return 2 * std::log(t); }
    };
    CHECK_THROWS_WITH_AS(transition_of(rising{}, 1, 0.5), doctest::Contains("transition_of: log_snr is -1.38"), onestep::domain_error);
    // beyond a quarter turn both levels are pure noise
    CHECK_THROWS_AS(transition_of(onestep::trigonometric_flow{}, 1.6, 1.59), onestep::domain_error);
}

}  // namespace transition_tests
