#include <onestep/process/edm.hpp>

#include "path_checks.hpp"

namespace edm_tests {

using onestep::edm;

static_assert(onestep::process<edm> && onestep::spec<edm>);

TEST_CASE("edm: derivatives, log-SNR and inverse") {
    onestep::test::check_path(edm{}, 0.002, 80);
    onestep::test::check_path(edm{}, 0, 1e-3);
}

TEST_CASE("edm: time is the noise level, exactly") {
    edm const p;
    for (double t : {0.0, 1e-300, 0.002, 1.7, 80.0}) {
        CHECK(p.sigma(t) == t);
        CHECK(p.alpha(t) == 1);
        CHECK(onestep::noise_to_signal(p, t) == t);
        CHECK(onestep::time_of_noise_to_signal(p, t) == t);
        CHECK(onestep::drift(p, t) == 0);
        CHECK(onestep::diffusion_squared(p, t) == 2 * t);
    }
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == 80);
    CHECK(onestep::prior_scale_of(p) == 80);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == HUGE_VAL);
    CHECK(onestep::log_snr_derivative(p, 0) == -HUGE_VAL);
}

TEST_CASE("edm: fields that make no process") {
    CHECK_THROWS_WITH_AS((edm{.sigma_max = 0.001}.t_max()),
                         "domain_error: edm: sigma_min is 0.002 and sigma_max is 0.001, 0 < sigma_min < sigma_max is needed",
                         onestep::domain_error);
    CHECK_THROWS_AS((edm{.sigma_min = -1}.t_min()), onestep::domain_error);
}

TEST_CASE("edm: prints and compares") {
    CHECK(to_string(edm{}) == "edm{sigma_min = 0.002, sigma_max = 80}");
    CHECK_FALSE(edm{} == edm{.sigma_max = 100});
}

}  // namespace edm_tests
