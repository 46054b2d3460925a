#include <onestep/process/variance_preserving.hpp>

#include <onestep/process/discrete.hpp>
#include <onestep/schedule/cosine_signal.hpp>
#include <onestep/schedule/log_snr_cosine.hpp>

#include "path_checks.hpp"

namespace variance_preserving_tests {

using onestep::cosine_signal;
using onestep::linear_beta;
using onestep::log_snr_cosine;
using onestep::variance_preserving;

static_assert(onestep::process<variance_preserving<>> && onestep::spec<variance_preserving<>>);
static_assert(onestep::process<variance_preserving<cosine_signal>>);

TEST_CASE("variance_preserving: golden log-SNR and noise levels of the linear beta") {
    variance_preserving const p;
    CHECK(p.log_snr(1e-3) == doctest::Approx(2 * 4.557714932729898).epsilon(1e-15));
    CHECK(p.log_snr(0.5) == doctest::Approx(2 * -1.2275677344107871).epsilon(1e-15));
    CHECK(p.log_snr(1) == doctest::Approx(2 * -5.024978406659204).epsilon(1e-15));
    CHECK(onestep::noise_to_signal(p, 1e-3) == doctest::Approx(0.010486).epsilon(1e-4));
    CHECK(onestep::noise_to_signal(p, 1) == doctest::Approx(152.17).epsilon(1e-4));
}

TEST_CASE("variance_preserving: derivatives, log-SNR and inverse over three schedules") {
    onestep::test::check_path(variance_preserving{}, 1e-3, 1);
    onestep::test::check_path(variance_preserving{linear_beta{.beta_min = 1, .beta_max = 4}}, 1e-5, 1);
    onestep::test::check_path(variance_preserving{cosine_signal{}}, 1e-3, 0.9946);
    onestep::test::check_path(variance_preserving{log_snr_cosine{}}, 0, 1);
    onestep::test::check_unit_variance(variance_preserving{}, 0, 1);
    onestep::test::check_unit_variance(variance_preserving{cosine_signal{}}, 0, 1);
}

TEST_CASE("variance_preserving: drift is -beta/2 and g^2 is beta") {
    variance_preserving const p;
    for (double t : {0.0, 1e-6, 0.3, 1.0}) {
        double const beta = 0.1 + 19.9 * t;
        CHECK(onestep::drift(p, t) == doctest::Approx(-beta / 2).epsilon(1e-15));
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(beta).epsilon(1e-15));
    }
}

TEST_CASE("variance_preserving: close to the data nothing is lost") {
    variance_preserving const p;
    for (double t : {1e-15, 1e-12, 1e-9, 1e-6}) {
        double const b = 0.1 * t + 9.95 * t * t;  // sigma^2 = b to first order, 1 - b/2 to the next
        CHECK(p.sigma(t) == doctest::Approx(std::sqrt(b * (1 - b / 2))).epsilon(1e-13));
        CHECK(p.time_of_log_snr(p.log_snr(t)) == doctest::Approx(t).epsilon(1e-13));
    }
    CHECK(p.sigma(0) == 0);
    CHECK(p.alpha(0) == 1);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.sigma_derivative(0) == HUGE_VAL);
}

TEST_CASE("variance_preserving: a cosine that goes down to alpha = 0") {
    variance_preserving const p{cosine_signal{.largest_time = 1}};
    CHECK(p.alpha(1) == 0);
    CHECK(p.sigma(1) == 1);
    CHECK(p.log_snr(1) == -HUGE_VAL);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 1);
    CHECK(p.sigma_derivative(1) == 0);
    CHECK(std::isfinite(p.alpha_derivative(1)));
    CHECK(onestep::noise_to_signal(p, 1) == HUGE_VAL);
    CHECK(onestep::drift(p, 1) == -HUGE_VAL);
}

TEST_CASE("variance_preserving: the discrete linear schedule is close to its continuous form") {
    variance_preserving const p;
    onestep::discrete const d;
    for (int i : {100, 500, 1000}) CHECK(p.log_snr(i / 1000.0) == doctest::Approx(d.log_snr(i)).epsilon(0.02));
}

TEST_CASE("variance_preserving: range, prior, and fields that make no process") {
    CHECK(variance_preserving{}.t_min() == 1e-3);
    CHECK(variance_preserving{}.t_max() == 1);
    CHECK(onestep::prior_scale_of(variance_preserving{}) == 1);
    CHECK(onestep::network_time_of(variance_preserving{}, 0.5) == 0.5);
    CHECK_THROWS_WITH_AS(variance_preserving{linear_beta{.beta_min = -1}}, doctest::Contains("domain_error: linear_beta: beta_min is -1"),
                         onestep::domain_error);
    CHECK_THROWS_AS(variance_preserving{log_snr_cosine{.log_snr_min = 30}}, onestep::domain_error);
}

TEST_CASE("variance_preserving: prints and compares with its schedule") {
    CHECK(to_string(variance_preserving{}) ==
          "variance_preserving{schedule = linear_beta{beta_min = 0.1, beta_max = 20, smallest_time = 0.001}}");
    CHECK(variance_preserving{} == variance_preserving{linear_beta{}});
    CHECK_FALSE(variance_preserving{} == variance_preserving{linear_beta{.beta_max = 10}});
}

}  // namespace variance_preserving_tests
