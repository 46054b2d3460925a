#include <onestep/process/cosine_flow.hpp>

#include <onestep/process/trigonometric_flow.hpp>

#include "path_checks.hpp"

namespace cosine_flow_tests {

using onestep::cosine_flow;

static_assert(onestep::process<cosine_flow> && onestep::spec<cosine_flow>);

TEST_CASE("cosine_flow: derivatives, log-SNR and inverse") {
    onestep::test::check_path(cosine_flow{}, 0, 1);
    onestep::test::check_unit_variance(cosine_flow{}, 0, 1);
}

TEST_CASE("cosine_flow: closed forms of the table") {
    cosine_flow const p;
    double const quarter = 1.5707963267948966;
    for (double t : {1e-6, 0.2, 0.5, 0.7, 0.9}) {
        CHECK(onestep::drift(p, t) == doctest::Approx(-quarter * std::tan(quarter * t)).epsilon(1e-14));
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(2 * quarter * std::tan(quarter * t)).epsilon(1e-14));
        CHECK(p.alpha(t) * p.sigma_derivative(t) - p.alpha_derivative(t) * p.sigma(t) == doctest::Approx(quarter).epsilon(1e-15));
        CHECK(p.log_snr(t) == doctest::Approx(onestep::trigonometric_flow{.sigma_data = 1}.log_snr(quarter * t)).epsilon(1e-13));
    }
}

TEST_CASE("cosine_flow: the two halves mirror each other bit for bit and end exactly") {
    cosine_flow const p;
    for (double t : {0.0, 0.125, 0.375, 0.75, 1.0}) {
        if (t != 0.5) CHECK(p.alpha(t) == p.sigma(1 - t));
        CHECK(p.log_snr(t) == -p.log_snr(1 - t));
    }
    CHECK(p.alpha(0) == 1);
    CHECK(p.sigma(0) == 0);
    CHECK(p.alpha(1) == 0);
    CHECK(p.sigma(1) == 1);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.log_snr(1) == -HUGE_VAL);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 1);
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == 1);
    CHECK(onestep::prior_scale_of(p) == 1);
    CHECK(to_string(p) == "cosine_flow{}");
}

}  // namespace cosine_flow_tests
