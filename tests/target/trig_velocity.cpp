#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace trig_velocity_tests {

using namespace onestep;

TEST_CASE("trig_velocity: dx/dt = sd F(x / sd, t) and x0 = cos t x - sd sin t F") {
    for (double sd : {0.25, 0.5, 1.0}) {
        trigonometric_flow const p{.sigma_data = sd};
        trig_velocity const target{sd};
        for (double t : {0.01, 0.4, 1.0, 1.5, p.t_max()}) {
            auto const m = marginal_at(p, t);
            auto const w = target.weights(m);
            CHECK(w.x0 == doctest::Approx(-std::sin(t) / sd).epsilon(1e-13));
            CHECK(w.epsilon == doctest::Approx(std::cos(t)).epsilon(1e-13));
            CHECK(input_scale_of(target, m) == doctest::Approx(1 / sd).epsilon(1e-15));
            CHECK(network_time_of(target, p, t) == doctest::Approx(t).epsilon(1e-15));
            auto const u = convert(target, velocity{}, m), clean = convert(target, x0{}, m);
            CHECK(std::fabs(u.x) < 1e-15);
            CHECK(u.output == doctest::Approx(sd).epsilon(1e-14));
            CHECK(clean.x == doctest::Approx(std::cos(t)).epsilon(1e-13));
            CHECK(clean.output == doctest::Approx(-sd * std::sin(t)).epsilon(1e-13));
        }
    }
}

TEST_CASE("trig_velocity: is minus EDM's F at the angle of equal signal-to-noise ratio") {
    for (double sd : {0.5, 1.0})
        for (double se : {1e-6, 0.002, 0.3, 5.0, 80.0}) {
            double const t = std::atan(se / sd);
            auto const a = edm_preconditioned{sd}.weights(marginal_at(edm{}, se));
            auto const b = trig_velocity{sd}.weights(marginal_at(trigonometric_flow{.sigma_data = sd}, t));
            CHECK(a.x0 == doctest::Approx(-b.x0).epsilon(1e-12));
            CHECK(a.epsilon == doctest::Approx(-b.epsilon).epsilon(1e-12));
            // both networks read the same input
            CHECK(edm_preconditioned{sd}.input_scale(marginal_at(edm{}, se)) / std::cos(t) == doctest::Approx(1 / sd).epsilon(1e-12));
            CHECK(trig_velocity{sd}.network_time(marginal_at(edm{}, se)) == doctest::Approx(t).epsilon(1e-14));
        }
}

TEST_CASE("trig_velocity: both ends are regular on every process") {
    trig_velocity const target{0.5};
    marginal const clean{0, 1, 0, -1, 1}, noise{1, 0, 1, -1, 1};
    CHECK(target.weights(clean).x0 == 0);
    CHECK(target.weights(clean).epsilon == 1);
    CHECK(target.weights(noise).x0 == -2);
    CHECK(target.weights(noise).epsilon == 0);
    CHECK(target.network_time(clean) == 0);
    CHECK(target.network_time(noise) == std::acos(0.0));
    CHECK(target.input_scale(clean) == 2);
    CHECK(target.input_scale(noise) == 1);
    CHECK(convert(target, x0{}, noise).output == -0.5);
    CHECK(convert(target, velocity{}, marginal_at(rectified_flow{}, 1)).output == 0.5);  // u = epsilon - x0, x = epsilon
}

TEST_CASE("trig_velocity: refuses a sigma_data that is not positive, and is a spec") {
    marginal const m{0, 1, 1, 0, 1};
    CHECK_THROWS_WITH_AS(trig_velocity{0}.weights(m), "domain_error: trig_velocity: sigma_data is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(trig_velocity{-1}.input_scale(m), domain_error);
    CHECK(target<trig_velocity>);
    CHECK(to_string(trig_velocity{}) == "trig_velocity{sigma_data = 0.5}");
    CHECK_FALSE(trig_velocity{} == trig_velocity{1});
}

}  // namespace trig_velocity_tests
