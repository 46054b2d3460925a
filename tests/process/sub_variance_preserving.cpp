#include <onestep/process/sub_variance_preserving.hpp>

#include <onestep/process/variance_preserving.hpp>
#include <onestep/schedule/cosine_signal.hpp>

#include "path_checks.hpp"

namespace sub_variance_preserving_tests {

using onestep::sub_variance_preserving;

static_assert(onestep::process<sub_variance_preserving<>> && onestep::spec<sub_variance_preserving<>>);

TEST_CASE("sub_variance_preserving: derivatives, log-SNR and inverse") {
    onestep::test::check_path(sub_variance_preserving{}, 1e-3, 1);
    onestep::test::check_path(sub_variance_preserving{onestep::linear_beta{.beta_min = 1, .beta_max = 4}}, 1e-5, 1);
    onestep::test::check_path(sub_variance_preserving{onestep::cosine_signal{}}, 1e-3, 0.9946);
}

TEST_CASE("sub_variance_preserving: closed forms of the table") {
    sub_variance_preserving const p;
    onestep::variance_preserving const vp;
    for (double t : {1e-6, 1e-3, 0.1, 0.5, 1.0}) {
        double const beta = 0.1 + 19.9 * t, b = 0.1 * t + 9.95 * t * t;
        CHECK(p.alpha(t) == vp.alpha(t));
        CHECK(p.sigma(t) == doctest::Approx(vp.sigma(t) * vp.sigma(t)).epsilon(1e-15));
        CHECK(p.sigma_derivative(t) == doctest::Approx(beta * std::exp(-b)).epsilon(1e-14));
        CHECK(onestep::drift(p, t) == doctest::Approx(-beta / 2).epsilon(1e-15));
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(-beta * std::expm1(-2 * b)).epsilon(1e-13));
    }
}

TEST_CASE("sub_variance_preserving: the ends") {
    sub_variance_preserving const p;
    CHECK(p.sigma(0) == 0);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(onestep::diffusion_squared(p, 0) == 0);
    CHECK(p.sigma_derivative(0) == doctest::Approx(0.1).epsilon(1e-15));
    for (double t : {1e-12, 1e-8, 1e-4}) CHECK(p.time_of_log_snr(p.log_snr(t)) == doctest::Approx(t).epsilon(1e-13));
    sub_variance_preserving const end{onestep::cosine_signal{.largest_time = 1}};
    CHECK(end.log_snr(1) == -HUGE_VAL);
    CHECK(end.time_of_log_snr(-HUGE_VAL) == 1);
    CHECK(end.sigma_derivative(1) == 0);
    CHECK(onestep::diffusion_squared(end, 1) == HUGE_VAL);
}

TEST_CASE("sub_variance_preserving: prior, errors, text") {
    CHECK(onestep::prior_scale_of(sub_variance_preserving{}) == 1);
    CHECK_THROWS_WITH_AS(sub_variance_preserving{onestep::linear_beta{.smallest_time = -1}},
                         doctest::Contains("domain_error: linear_beta: smallest_time is -1"), onestep::domain_error);
    CHECK(to_string(sub_variance_preserving{}) ==
          "sub_variance_preserving{schedule = linear_beta{beta_min = 0.1, beta_max = 20, smallest_time = 0.001}}");
    CHECK(sub_variance_preserving{} == sub_variance_preserving{});
}

}  // namespace sub_variance_preserving_tests
