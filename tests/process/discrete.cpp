#include <onestep/process/discrete.hpp>

#include <onestep/schedule/beta_table.hpp>
#include <onestep/schedule/cosine_schedule.hpp>
#include <onestep/schedule/scaled_linear_schedule.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>

#include "path_checks.hpp"

namespace discrete_tests {

using onestep::beta_table;
using onestep::discrete;
using onestep::zero_terminal_snr;

static_assert(onestep::discrete_process<discrete<>> && onestep::spec<discrete<>>);
static_assert(onestep::discrete_process<discrete<zero_terminal_snr<onestep::scaled_linear_schedule>>>);

namespace {

template <class Schedule> void check(discrete<Schedule> const& p) {
    auto const& table = p.table();
    int const n = p.steps();
    for (int i = 0; i < n; ++i) {
        auto const k = static_cast<std::size_t>(i);
        CHECK(p.alpha(i + 1) == std::sqrt(table.alpha_bar[k]));
        CHECK(p.sigma(i + 1) == std::sqrt(table.variance[k]));
        CHECK(p.time_of_log_snr(p.log_snr(i + 1)) == i + 1);
        CHECK(p.log_snr(i + 1) < p.log_snr(i + 0.999999));
        CHECK(p.log_snr(i + 1.000001) <= p.log_snr(i + 1));
        CHECK(std::fabs(p.alpha(i + 1) - p.alpha(std::nextafter(i + 1, 0))) < 1e-14);  // no jump at a level
        CHECK(std::fabs(p.sigma(i + 1) - p.sigma(std::nextafter(i + 1, 2 * n))) < 1e-14);
    }
    onestep::test::check_log_snr(p, 0, n);
    onestep::test::check_unit_variance(p, 0, n, 1e-13);
    onestep::test::at_random_times(0, n, 200, [&](double t) {
        double const f = t - std::floor(t), room = std::fmin(f, 1 - f);
        if (room > 0.05) onestep::test::check_derivatives(p, t, 10 * room);
    });
}

}  // namespace

TEST_CASE("discrete: levels are the table's own numbers and what lies between is smooth") {
    check(discrete{});
    check(discrete{onestep::cosine_schedule{.steps = 100}});
    check(discrete{zero_terminal_snr{onestep::scaled_linear_schedule{}}});
    check(discrete{beta_table{{0.1, 0.3, 0.2, 0.5}}});
}

TEST_CASE("discrete: t = i + 1 is the literature's index i, t = 0 the data") {
    discrete const p;
    CHECK(p.steps() == 1000);
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == 1000);
    CHECK(p.alpha(0) == 1);
    CHECK(p.sigma(0) == 0);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.sigma_derivative(0) == HUGE_VAL);
    CHECK(p.alpha(501) * p.alpha(501) == doctest::Approx(0.07779665836502386).epsilon(1e-14));
    CHECK(onestep::network_time_of(p, 1000) == 999);
    CHECK(onestep::network_time_of(p, 1) == 0);
    CHECK(onestep::network_time_of(p, 0) == 0);
    CHECK(onestep::network_time_of(p, 0.5) == 0);
    CHECK(onestep::prior_scale_of(p) == 1);
}

TEST_CASE("discrete: log alpha is linear between levels, its slope at a level is that of the beta that made it") {
    discrete const p{beta_table{{0.19, 0.36}}};
    CHECK(p.alpha(0.5) == doctest::Approx(std::pow(0.81, 0.25)).epsilon(1e-15));
    CHECK(p.alpha(1.5) == doctest::Approx(0.9 * std::pow(0.64, 0.25)).epsilon(1e-15));
    CHECK(p.alpha(1) == doctest::Approx(0.9).epsilon(1e-15));
    CHECK(onestep::drift(p, 1) == doctest::Approx(std::log(0.9)).epsilon(1e-15));
    CHECK(onestep::drift(p, 1.1) == doctest::Approx(std::log(0.8)).epsilon(1e-15));
    CHECK(onestep::drift(p, 2) == doctest::Approx(std::log(0.8)).epsilon(1e-15));
    CHECK(onestep::diffusion_squared(p, 0) == doctest::Approx(-2 * std::log(0.9)).epsilon(1e-15));
    CHECK(p.alpha_derivative(2) == doctest::Approx(0.72 * std::log(0.8)).epsilon(1e-15));
    // past the last level, both ways
    CHECK(p.alpha(3) == doctest::Approx(0.9 * 0.64).epsilon(1e-15));
    CHECK(p.time_of_log_snr(p.log_snr(3)) == doctest::Approx(3).epsilon(1e-14));
}

TEST_CASE("discrete: where alpha falls to 0 it is alpha that is linear") {
    discrete const p{beta_table{{0.36, 1}}};
    CHECK(p.alpha(1.25) == doctest::Approx(0.6).epsilon(1e-15));
    CHECK(p.sigma(1.25) == doctest::Approx(0.8).epsilon(1e-15));
    CHECK(p.alpha_derivative(1.25) == doctest::Approx(-0.8).epsilon(1e-15));
    CHECK(onestep::drift(p, 1.25) == doctest::Approx(-0.8 / 0.6).epsilon(1e-14));
    CHECK(p.alpha(2) == 0);
    CHECK(p.sigma(2) == 1);
    CHECK(p.alpha_derivative(2) == doctest::Approx(-0.8).epsilon(1e-15));
    CHECK(p.sigma_derivative(2) == 0);
    CHECK(p.log_snr(2) == -HUGE_VAL);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 2);
    CHECK(p.time_of_log_snr(-60) < 2);
    CHECK(onestep::drift(p, 2) == -HUGE_VAL);
    CHECK(p.alpha(3) == 0);
    CHECK(p.sigma(3) == 1);
    // a single step that erases everything
    discrete const all{beta_table{{1}}};
    CHECK(all.alpha(0.25) == 0.75);
    CHECK(all.time_of_log_snr(all.log_snr(0.25)) == doctest::Approx(0.25).epsilon(1e-14));
}

TEST_CASE("discrete: the first interval keeps its digits close to the data") {
    discrete const p;
    for (double t : {1e-12, 1e-8, 1e-4, 0.1}) {
        CHECK(p.sigma(t) == doctest::Approx(std::sqrt(-std::expm1(t * std::log1p(-1e-4)))).epsilon(1e-14));
        CHECK(p.time_of_log_snr(p.log_snr(t)) == doctest::Approx(t).epsilon(1e-13));
    }
}

TEST_CASE("discrete: a copy shares the table") {
    discrete const p, copy = p, other;
    CHECK(&copy.table() == &p.table());
    CHECK(&other.table() != &p.table());
    CHECK(other == p);
    CHECK_FALSE(p == discrete{onestep::linear_schedule{.steps = 10}});
}

TEST_CASE("discrete: refuses what its schedule refuses, prints with it") {
    CHECK_THROWS_WITH_AS(discrete{onestep::linear_schedule{.steps = 0}}, "domain_error: linear_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
    CHECK(to_string(discrete{}) == "discrete{schedule = linear_schedule{first = 0.0001, last = 0.02, steps = 1000}}");
}

}  // namespace discrete_tests
