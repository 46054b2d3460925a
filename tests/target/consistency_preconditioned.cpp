#include <onestep/target/consistency_preconditioned.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace consistency_preconditioned_tests {

using namespace onestep;

namespace {

double const levels[] = {0.0021, 0.01, 0.3, 0.5, 4, 79};

template <class Process> marginal at_level(Process const& p, double level) { return marginal_at(p, time_of_noise_to_signal(p, level)); }

}  // namespace

TEST_CASE("consistency_preconditioned: c_skip, c_out, c_in and c_noise as published, on EDM") {
    consistency_preconditioned const target{.sigma_data = 0.5, .sigma_min = 0.002};
    for (double t : levels) {
        marginal const m = marginal_at(edm{}, t);
        double const skip = 0.25 / ((t - 0.002) * (t - 0.002) + 0.25), out = 0.5 * (t - 0.002) / std::sqrt(t * t + 0.25);
        CHECK(target.clean(m).x == doctest::Approx(skip).epsilon(1e-13));
        CHECK(target.clean(m).output == doctest::Approx(out).epsilon(1e-13));
        CHECK(target.input_scale(m) == doctest::Approx(1 / std::sqrt(t * t + 0.25)).epsilon(1e-14));
        CHECK(target.network_time(m) == doctest::Approx(std::log(t) / 4).epsilon(1e-13));
        // Its weights say the same: F = (x0 - c_skip x) / c_out, x = x0 + t epsilon.
        target_weights const w = target.weights(m);
        CHECK(w.x0 == doctest::Approx((1 - skip) / out).epsilon(1e-10));
        CHECK(w.epsilon == doctest::Approx(-skip * t / out).epsilon(1e-12));
        conversion const to_x0 = convert(target, x0{}, m);
        CHECK(to_x0.x == doctest::Approx(skip).epsilon(1e-9));
        CHECK(to_x0.output == doctest::Approx(out).epsilon(1e-12));
    }
}

TEST_CASE("consistency_preconditioned: golden values of sigma_data = 0.5 and sigma_min = 0.002") {
    consistency_preconditioned const target;
    auto const check = [&](double t, double skip, double out) {
        CHECK(target.clean(marginal_at(edm{}, t)).x == doctest::Approx(skip).epsilon(1e-9));
        CHECK(target.clean(marginal_at(edm{}, t)).output == doctest::Approx(out).epsilon(1e-9));
    };
    check(0.5, 0.5020039999678717, 0.3521391770309006);
    check(80, 3.906292722635225e-05, 0.4999777349052265);
}

TEST_CASE("consistency_preconditioned: the same at equal noise on every process") {
    consistency_preconditioned const target{.sigma_data = 0.7, .sigma_min = 0.0015};
    auto const check = [&](auto const& process) {
        for (double level : levels) {
            if (level < noise_to_signal(process, process.t_min())) continue;
            marginal const m = at_level(process, level), e = marginal_at(edm{}, level);
            CHECK(target.clean(m).x * m.alpha == doctest::Approx(target.clean(e).x).epsilon(1e-10));
            CHECK(target.clean(m).output == doctest::Approx(target.clean(e).output).epsilon(1e-10));
            CHECK(target.input_scale(m) * m.alpha == doctest::Approx(target.input_scale(e)).epsilon(1e-10));
            CHECK(target.network_time(m) == doctest::Approx(target.network_time(e)).epsilon(1e-10));
            CHECK(target.weights(m).x0 == doctest::Approx(target.weights(e).x0).epsilon(1e-8));
            CHECK(target.weights(m).epsilon == doctest::Approx(target.weights(e).epsilon).epsilon(1e-8));
        }
    };
    check(rectified_flow{});
    check(variance_preserving{});
}

TEST_CASE("consistency_preconditioned: without a smallest level it is EDM's preconditioning") {
    consistency_preconditioned const target{.sigma_data = 0.7, .sigma_min = 0};
    edm_preconditioned const same{.sigma_data = 0.7};
    for (double level : {1e-6, 0.002, 0.3, 5.0, 1e4}) {
        marginal const m = at_level(rectified_flow{}, level);
        CHECK(target.weights(m).x0 == doctest::Approx(same.weights(m).x0).epsilon(level < 1e-3 ? 1e-3 : 1e-9));
        CHECK(target.weights(m).epsilon == doctest::Approx(same.weights(m).epsilon).epsilon(1e-12));
        CHECK(target.input_scale(m) == same.input_scale(m));
        CHECK(target.network_time(m) == same.network_time(m));
        conversion const mine = target.clean(m), theirs = convert(same, x0{}, m);
        CHECK(mine.x == doctest::Approx(theirs.x).epsilon(1e-13));
        CHECK(mine.output == doctest::Approx(theirs.output).epsilon(1e-13));
    }
}

TEST_CASE("consistency_preconditioned: up to the smallest level a sample counts as clean, at alpha = 0 nothing is infinite") {
    consistency_preconditioned const target{.sigma_data = 0.5, .sigma_min = 0.01};
    for (double level : {0.0, 0.004, 0.01}) {
        conversion const c = target.clean(marginal_at(edm{}, level));
        CHECK(c.x == 1);
        CHECK(c.output == 0);
    }
    CHECK(target.clean(marginal{.t = 0.3, .alpha = 0.8, .sigma = 0.004}).x == 1 / 0.8);
    conversion const end = target.clean(marginal_at(rectified_flow{}, 1));
    CHECK(end.x == 0);
    CHECK(end.output == 0.5);
    // c_out keeps the published denominator, so it stays below sigma_data.
    for (double level : levels) CHECK(target.clean(marginal_at(edm{}, level)).output < 0.5);
}

TEST_CASE("consistency_preconditioned: numbers outside their range are refused, and it says what it is") {
    marginal const m = marginal_at(edm{}, 0.5);
    CHECK_THROWS_WITH_AS((consistency_preconditioned{.sigma_data = 0}.weights(m)),
                         "domain_error: consistency_preconditioned: sigma_data is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS((consistency_preconditioned{.sigma_min = -1}.clean(m)),
                         "domain_error: consistency_preconditioned: sigma_min is -1, it must not be negative", domain_error);
    CHECK_THROWS_AS(consistency_preconditioned{.sigma_data = -1}.input_scale(m), domain_error);
    CHECK(to_string(consistency_preconditioned{}) == "consistency_preconditioned{sigma_data = 0.5, sigma_min = 0.002}");
}

}  // namespace consistency_preconditioned_tests
