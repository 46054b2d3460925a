#include <onestep/process/trigonometric_flow.hpp>

#include "path_checks.hpp"

namespace trigonometric_flow_tests {

using onestep::trigonometric_flow;

static_assert(onestep::process<trigonometric_flow> && onestep::spec<trigonometric_flow>);

TEST_CASE("trigonometric_flow: derivatives, log-SNR and inverse") {
    onestep::test::check_path(trigonometric_flow{}, 0, 1.5645);
    onestep::test::check_path(trigonometric_flow{.sigma_data = 2}, 0, 1.5);
}

TEST_CASE("trigonometric_flow: closed forms of the table") {
    trigonometric_flow const p{.sigma_data = 0.3};
    for (double t : {1e-6, 0.2, 1.0, 1.5}) {
        CHECK(onestep::drift(p, t) == doctest::Approx(-std::tan(t)).epsilon(1e-14));
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(2 * 0.09 * std::tan(t)).epsilon(1e-14));
        CHECK(p.log_snr(t) == doctest::Approx(-2 * std::log(0.3 * std::tan(t))).epsilon(1e-14));
        CHECK(onestep::noise_to_signal(p, t) == doctest::Approx(0.3 * std::tan(t)).epsilon(1e-14));
        CHECK(p.alpha(t) * p.sigma_derivative(t) - p.alpha_derivative(t) * p.sigma(t) == doctest::Approx(0.3).epsilon(1e-15));
    }
    CHECK(onestep::time_of_noise_to_signal(p, 80) == std::atan(80 / 0.3));
}

TEST_CASE("trigonometric_flow: its range and prior") {
    trigonometric_flow const p;
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == doctest::Approx(1.56454641).epsilon(1e-9));
    CHECK(trigonometric_flow{.largest_time = 1.2}.t_max() == 1.2);
    CHECK(onestep::prior_scale_of(p) == 0.5);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 1.5707963267948966);
    CHECK(onestep::time_of_noise_to_signal(p, HUGE_VAL) == 1.5707963267948966);
}

TEST_CASE("trigonometric_flow: past a quarter turn alpha is 0, never negative") {
    trigonometric_flow const p;
    CHECK(std::cos(1.5708) < 0);
    CHECK(p.alpha(1.5708) == 0);
    CHECK(p.log_snr(1.5708) == -HUGE_VAL);
    CHECK(onestep::noise_to_signal(p, 1.5708) == HUGE_VAL);
    CHECK(onestep::drift(p, 1.5708) == -HUGE_VAL);
}

TEST_CASE("trigonometric_flow: fields that make no process") {
    CHECK_THROWS_WITH_AS((trigonometric_flow{.sigma_data = 0}.t_max()), "domain_error: trigonometric_flow: sigma_data is 0, it must be > 0",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((trigonometric_flow{.largest_time = 1.5708}.t_max()),
                         "domain_error: trigonometric_flow: largest_time is 1.5708, it must lie in [0, pi/2]", onestep::domain_error);
    CHECK_THROWS_AS((trigonometric_flow{.largest_time = -1}.t_min()), onestep::domain_error);
}

TEST_CASE("trigonometric_flow: prints and compares") {
    CHECK(to_string(trigonometric_flow{}) == "trigonometric_flow{sigma_data = 0.5, largest_time = 0}");
    CHECK_FALSE(trigonometric_flow{} == trigonometric_flow{.sigma_data = 1});
}

}  // namespace trigonometric_flow_tests
