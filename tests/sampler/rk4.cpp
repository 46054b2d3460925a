#include <onestep/sampler/rk4.hpp>

#include "order.hpp"

namespace rk4_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("rk4: converges at its order for every target and in both directions") { check_order(rk4{}, {48, 64, 96, 128, 192, 256}); }

TEST_CASE("rk4: one step is the classical rule") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.6};
    auto const u = [](double x, double t) {  // of N(0.3, 0.6^2)
        double const variance = (1 - t) * (1 - t) * 0.36 + t * t;
        return -0.3 + (t - (1 - t) * 0.36) / variance * (x - (1 - t) * 0.3);
    };
    double const start[] = {0.9, -1.4}, h = -0.3;
    tensor<double, cpu> x(device, {1, 2}, {0.9, -1.4});
    CHECK(solve(model{net, rectified_flow{}, velocity{}}, rk4{}, {0.8, 0.5}, x.view()) == 4);
    for (int i = 0; i < 2; ++i) {
        double const k1 = u(start[i], 0.8), k2 = u(start[i] + h / 2 * k1, 0.65), k3 = u(start[i] + h / 2 * k2, 0.65),
                     k4 = u(start[i] + h * k3, 0.5);
        CHECK(x.data()[i] == doctest::Approx(start[i] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)).epsilon(1e-14));
    }
}

TEST_CASE("rk4: four evaluations a step") {
    check_evaluations(rk4{}, 1, 4);
    check_evaluations(rk4{}, 6, 24);
}

TEST_CASE("rk4: the last step to the data is Euler's where there is no velocity, and exact for one point") {
    cpu device(1);
    model const flow{point_data{0.375}, rectified_flow{}, x0{}};
    for (int steps : {1, 2, 5}) {
        CAPTURE(steps);
        tensor<float, cpu> x(device, {2, 2}, {1, -2, 3, 0.5f});
        CHECK(solve(flow, rk4{.steps = steps}, equal_times(1, 0, steps), x.view()) == 4 * steps - 3);
        CHECK(x.to_host() == std::vector<float>(4, 0.375f));
    }
}

TEST_CASE("rk4: is a printable and comparable spec") {
    CHECK(to_string(rk4{.steps = 3}) == "rk4{steps = 3}");
    CHECK(rk4{}.steps == 8);
    CHECK(rk4{.steps = 8} == rk4{});
    CHECK_FALSE(rk4{.steps = 8} == rk4{.steps = 9});
}

}  // namespace rk4_tests
