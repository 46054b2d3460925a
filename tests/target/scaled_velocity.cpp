#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/scaled_velocity.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

namespace scaled_velocity_tests {

using namespace onestep;

TEST_CASE("scaled_velocity: dx/dt = sd F, read at unit variance") {
    for (double sd : {0.5, 1.0, 3.0})
        for (double t : {0.0, 0.1, 0.5, 1.0}) {
            auto const m = marginal_at(rectified_flow{}, t);
            scaled_velocity const target{sd};
            conversion const u = convert(target, velocity{}, m), clean = convert(target, x0{}, m);
            CHECK(std::fabs(u.x) < 1e-15);
            CHECK(u.output == doctest::Approx(sd).epsilon(1e-15));
            // x0 = x - t u
            CHECK(clean.x == doctest::Approx(1).epsilon(1e-15));
            CHECK(clean.output == doctest::Approx(-t * sd).epsilon(1e-15));
            CHECK(target.input_scale(m) == doctest::Approx(1 / std::sqrt(t * t + sd * sd * (1 - t) * (1 - t))).epsilon(1e-15));
        }
}

TEST_CASE("scaled_velocity: on trigonometric flow of the same sigma_data it is that flow's own target") {
    trigonometric_flow const p{.sigma_data = 0.5};
    for (double t : {0.1, 0.8, 1.5}) {
        auto const m = marginal_at(p, t);
        auto const a = scaled_velocity{0.5}.weights(m), b = trig_velocity{0.5}.weights(m);
        CHECK(a.x0 == doctest::Approx(b.x0).epsilon(1e-14));
        CHECK(a.epsilon == doctest::Approx(b.epsilon).epsilon(1e-14));
        CHECK(scaled_velocity{0.5}.input_scale(m) == doctest::Approx(2).epsilon(1e-14));
    }
}

TEST_CASE("scaled_velocity: refuses a sigma_data that is not positive, and is a spec") {
    auto const m = marginal_at(rectified_flow{}, 0.5);
    CHECK_THROWS_WITH(scaled_velocity{0}.weights(m), "domain_error: scaled_velocity: sigma_data is 0, it must be > 0");
    CHECK_THROWS_AS(scaled_velocity{-1}.input_scale(m), domain_error);
    CHECK(to_string(scaled_velocity{0.5}) == "scaled_velocity{sigma_data = 0.5}");
}

}  // namespace scaled_velocity_tests
