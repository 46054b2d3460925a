#include <onestep/sampler/midpoint.hpp>

#include "order.hpp"

namespace midpoint_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("midpoint: converges at its order in both directions on four processes") {
    std::vector<int> const steps{32, 48, 64, 96, 128, 192};
    check_order_on_mixture<velocity>(midpoint{}, 1, 0, steps);
    check_order_on_mixture<velocity>(midpoint{}, 0, 1, steps);
    check_order_on_mixture<x0>(midpoint{}, 0.95, 0.1, steps);
    check_order_on_mixture<v_prediction>(midpoint{}, 0.6, 0.05, steps, variance_preserving{});
    check_order_on_mixture<epsilon>(midpoint{}, 0.05, 0.6, steps, variance_preserving{});
    check_order_on_mixture<x0>(midpoint{}, 3, 0.25, steps, edm{});
    check_order_on_mixture<epsilon>(midpoint{}, 0.25, 3, steps, edm{});
    check_order_on_mixture<v_prediction>(midpoint{}, 1.4, 0.1, steps, trigonometric_flow{});
    check_order_on_gaussian<x0>(midpoint{}, 0.6, 0.05, steps, variance_preserving{});
    check_order_on_gaussian<epsilon>(midpoint{}, 1.4, 0.1, steps, trigonometric_flow{});
}

TEST_CASE("midpoint: gains an order on a Gaussian whose variance is a parabola in t") {
    // x scales with sqrt(V), V'' constant: the third-order term of the error vanishes
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.5};
    tensor<double, cpu> const start(device, {1, 2}, {0.7, -1.2});
    std::vector<double> const exact{net.flow(0.7, 1, 0), net.flow(-1.2, 1, 0)};
    std::vector<int> const steps{32, 48, 64, 96, 128, 192};
    auto const found = errors(model{net, rectified_flow{}, velocity{}}, midpoint{}, 1, 0, steps, start, exact);
    CHECK(std::fabs(fitted_order(steps, found) - 3) < 0.15);
}

TEST_CASE("midpoint: one step is Euler's with the slope half way") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.6};
    auto const u = [](double x, double t) {  // of N(0.3, 0.6^2)
        double const variance = (1 - t) * (1 - t) * 0.36 + t * t;
        return -0.3 + (t - (1 - t) * 0.36) / variance * (x - (1 - t) * 0.3);
    };
    tensor<double, cpu> x(device, {1, 2}, {0.9, -1.4});
    CHECK(solve(model{net, rectified_flow{}, velocity{}}, midpoint{}, {0.8, 0.5}, x.view()) == 2);
    double const start[] = {0.9, -1.4};
    for (int i = 0; i < 2; ++i) {
        double const half = start[i] - 0.15 * u(start[i], 0.8);
        CHECK(x.data()[i] == doctest::Approx(start[i] - 0.3 * u(half, 0.65)).epsilon(1e-14));
    }
}

TEST_CASE("midpoint: two evaluations a step") {
    check_evaluations(midpoint{}, 1, 2);
    check_evaluations(midpoint{}, 7, 14);
}

TEST_CASE("midpoint: reaches the data with every target, and is exact for one point") {
    cpu device(1);
    model const flow{point_data{0.375}, rectified_flow{}, x0{}};
    for (int steps : {1, 2, 5}) {
        CAPTURE(steps);
        tensor<double, cpu> x(device, {2, 2}, {1, -2, 3, 0.5});
        CHECK(solve(flow, midpoint{.steps = steps}, equal_times(1, 0, steps), x.view()) == 2 * steps);
        for (double value : x.to_host()) CHECK(value == doctest::Approx(0.375).epsilon(1e-14));
    }
}

TEST_CASE("midpoint: is a printable and comparable spec") {
    CHECK(to_string(midpoint{.steps = 3}) == "midpoint{steps = 3}");
    CHECK(midpoint{.steps = 18} == midpoint{});
    CHECK_FALSE(midpoint{.steps = 8} == midpoint{.steps = 9});
}

}  // namespace midpoint_tests
