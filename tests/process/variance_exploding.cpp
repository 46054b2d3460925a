#include <onestep/process/variance_exploding.hpp>

#include "path_checks.hpp"

namespace variance_exploding_tests {

using onestep::variance_exploding;

static_assert(onestep::process<variance_exploding> && onestep::spec<variance_exploding>);

TEST_CASE("variance_exploding: derivatives, log-SNR and inverse") {
    onestep::test::check_path(variance_exploding{}, 0, 1);
    onestep::test::check_path(variance_exploding{.sigma_min = 0.02, .sigma_max = 1000}, 0, 1);
}

TEST_CASE("variance_exploding: geometric between its ends") {
    variance_exploding const p;
    CHECK(p.sigma(0) == 0.01);
    CHECK(p.sigma(1) == 50);
    CHECK(p.sigma(0.5) == doctest::Approx(std::sqrt(0.5)).epsilon(1e-14));
    for (double t : {0.0, 0.3, 1.0}) {
        double const sigma = 0.01 * std::pow(5000, t);
        CHECK(p.alpha(t) == 1);
        CHECK(onestep::drift(p, t) == 0);
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(2 * sigma * sigma * std::log(5000.0)).epsilon(1e-13));
        CHECK(onestep::time_of_noise_to_signal(p, sigma) == doctest::Approx(t).epsilon(1e-13));
    }
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == 1);
    CHECK(onestep::prior_scale_of(p) == 50);
}

TEST_CASE("variance_exploding: fields that make no process") {
    CHECK_THROWS_WITH_AS((variance_exploding{.sigma_min = 60}.t_max()),
                         "domain_error: variance_exploding: sigma_min is 60 and sigma_max is 50, 0 < sigma_min < sigma_max is needed",
                         onestep::domain_error);
    CHECK_THROWS_AS((variance_exploding{.sigma_min = 0}.t_min()), onestep::domain_error);
    CHECK_THROWS_AS((variance_exploding{.sigma_max = HUGE_VAL}.t_min()), onestep::domain_error);
}

TEST_CASE("variance_exploding: prints and compares") {
    CHECK(to_string(variance_exploding{}) == "variance_exploding{sigma_min = 0.01, sigma_max = 50}");
    CHECK_FALSE(variance_exploding{} == variance_exploding{.sigma_max = 100});
}

}  // namespace variance_exploding_tests
