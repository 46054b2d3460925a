#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/velocity.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace velocity_tests {

using onestep::velocity;

TEST_CASE("velocity: on rectified flow it is epsilon - x0") {
    for (double t : {0.0, 0.3, 1.0}) {
        auto const w = velocity{}.weights(marginal_at(onestep::rectified_flow{}, t));
        CHECK(w.x0 == -1);
        CHECK(w.epsilon == 1);
    }
    CHECK(onestep::target<velocity>);
    CHECK(to_string(velocity{}) == "velocity{}");
    CHECK(velocity{} == velocity{});
}

TEST_CASE("velocity: is dx/dt along a curved path, by a difference quotient") {
    constexpr double h = 1e-5, x0 = 1.7, epsilon = -0.6;  // x_t = cos(t^2) x0 + sin(t^2) epsilon
    auto const x = [](double t) { return std::cos(t * t) * x0 + std::sin(t * t) * epsilon; };
    for (double t : {0.1, 0.4, 0.9, 1.2}) {
        auto const w = velocity{}.weights({t, std::cos(t * t), std::sin(t * t), -2 * t * std::sin(t * t), 2 * t * std::cos(t * t)});
        CHECK(w.x0 * x0 + w.epsilon * epsilon == doctest::Approx((x(t + h) - x(t - h)) / (2 * h)).epsilon(1e-7));
    }
}

}  // namespace velocity_tests
