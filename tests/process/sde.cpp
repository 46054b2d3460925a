#include <onestep/process/sde.hpp>

#include <onestep/process/custom_process.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/process/variance_preserving.hpp>

#include "path_checks.hpp"

namespace sde_tests {

namespace {

/// Solves d(variance)/dt = 2 f variance + g^2 by classical Runge-Kutta from t0 to t1.
template <class P> double propagate(P const& p, double t0, double t1, double variance) {
    int const steps = 4000;
    double const h = (t1 - t0) / steps;
    auto const slope = [&](double t, double v) { return 2 * onestep::drift(p, t) * v + onestep::diffusion_squared(p, t); };
    for (int i = 0; i < steps; ++i) {
        double const t = t0 + i * h, a = slope(t, variance), b = slope(t + h / 2, variance + h / 2 * a),
                     c = slope(t + h / 2, variance + h / 2 * b), d = slope(t + h, variance + h * c);
        variance += h / 6 * (a + 2 * b + 2 * c + d);
    }
    return variance;
}

}  // namespace

TEST_CASE("sde: rectified flow's closed forms") {
    onestep::rectified_flow const p;
    for (double t : {0.0, 0.125, 0.5, 0.875}) {
        CHECK(onestep::drift(p, t) == doctest::Approx(-1 / (1 - t)).epsilon(1e-15));
        CHECK(onestep::diffusion_squared(p, t) == doctest::Approx(2 * t / (1 - t)).epsilon(1e-15));
        CHECK(onestep::noise_to_signal(p, t) == t / (1 - t));
    }
    CHECK(onestep::drift(p, 1) == -HUGE_VAL);
    CHECK(onestep::diffusion_squared(p, 1) == HUGE_VAL);
    CHECK(onestep::diffusion(p, 1) == HUGE_VAL);
    CHECK(onestep::noise_to_signal(p, 1) == HUGE_VAL);
    CHECK(onestep::log_snr_derivative(p, 0) == -HUGE_VAL);
    CHECK(onestep::log_snr_derivative(p, 1) == -HUGE_VAL);
    CHECK(onestep::log_snr_derivative(p, 0.5) == -8);
    onestep::test::check_path(p, 0, 1);
}

TEST_CASE("sde: its solution has the process's variance") {
    // A Gaussian start of variance 0.3 keeps alpha^2 0.3 + sigma^2 along the whole path.
    auto const check = [](auto const& p, double t0, double t1) {
        auto const variance = [&](double t) { return 0.3 * p.alpha(t) * p.alpha(t) + p.sigma(t) * p.sigma(t); };
        CHECK(propagate(p, t0, t1, variance(t0)) == doctest::Approx(variance(t1)).epsilon(1e-11));
    };
    check(onestep::rectified_flow{}, 0, 0.9);
    check(onestep::variance_preserving{}, 0, 1);
    check(onestep::sub_variance_preserving{}, 0, 1);
    check(onestep::edm{}, 0, 3);
}

TEST_CASE("sde: times of noise-to-signal ratios") {
    onestep::rectified_flow const p;
    CHECK(onestep::time_of_noise_to_signal(p, 1) == 0.5);
    CHECK(onestep::time_of_noise_to_signal(p, 0) == 0);
    CHECK(onestep::time_of_noise_to_signal(p, HUGE_VAL) == 1);
    CHECK(onestep::time_of_noise_to_signal(p, 3) == doctest::Approx(0.75).epsilon(1e-15));
    CHECK_THROWS_WITH_AS(onestep::time_of_noise_to_signal(p, -1),
                         "domain_error: time_of_noise_to_signal: sigma/alpha is -1, it must be >= 0", onestep::domain_error);
    CHECK_THROWS_AS(onestep::time_of_noise_to_signal(p, std::nan("")), onestep::domain_error);
}

TEST_CASE("sde: an infinite slope of sigma at 0 is said, not turned into NaN") {
    auto const one = [](auto) { return 1.0; };
    auto const root = [](auto t) { return sqrt(t); };
    onestep::custom_process const p{one, root};
    CHECK(onestep::diffusion_squared(p, 1e-9) == doctest::Approx(1).epsilon(1e-14));
    CHECK_THROWS_WITH_AS(onestep::diffusion_squared(p, 0),
                         "domain_error: diffusion_squared: t is 0 with sigma = 0 and an infinite sigma', give the process a member "
                         "diffusion_squared(t) that knows the limit, or a later t_min",
                         onestep::domain_error);
    // the processes of constant variance know theirs
    CHECK(onestep::diffusion_squared(onestep::variance_preserving{}, 0) == doctest::Approx(0.1).epsilon(1e-15));
}

}  // namespace sde_tests
