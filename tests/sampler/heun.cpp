#include <onestep/sampler/heun.hpp>

#include "order.hpp"

namespace heun_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("heun: converges at its order for every target and in both directions") { check_order(heun{}, {24, 32, 48, 64, 96, 128}); }

TEST_CASE("heun: one step is the trapezoidal rule with Euler's guess") {
    cpu device(1);
    gaussian_data<velocity> const net{0.3, 0.6};
    auto const u = [](double x, double t) {  // of N(0.3, 0.6^2)
        double const variance = (1 - t) * (1 - t) * 0.36 + t * t;
        return -0.3 + (t - (1 - t) * 0.36) / variance * (x - (1 - t) * 0.3);
    };
    tensor<double, cpu> x(device, {1, 2}, {0.9, -1.4});
    CHECK(solve(model{net, rectified_flow{}, velocity{}}, heun{}, {0.8, 0.5}, x.view()) == 2);
    double const start[] = {0.9, -1.4};
    for (int i = 0; i < 2; ++i) {
        double const here = u(start[i], 0.8), ahead = u(start[i] - 0.3 * here, 0.5);
        CHECK(x.data()[i] == doctest::Approx(start[i] - 0.15 * (here + ahead)).epsilon(1e-14));
    }
}

TEST_CASE("heun: two evaluations a step") {
    check_evaluations(heun{}, 1, 2);
    check_evaluations(heun{}, 7, 14);
}

TEST_CASE("heun: the last step to the data is Euler's where there is no velocity, and exact for one point") {
    cpu device(1);
    model const flow{point_data{0.375}, rectified_flow{}, x0{}};
    for (int steps : {1, 2, 5}) {
        CAPTURE(steps);
        tensor<float, cpu> x(device, {2, 2}, {1, -2, 3, 0.5f});
        CHECK(solve(flow, heun{.steps = steps}, equal_times(1, 0, steps), x.view()) == 2 * steps - 1);
        CHECK(x.to_host() == std::vector<float>(4, 0.375f));
    }
}

TEST_CASE("heun: is a printable and comparable spec") {
    CHECK(to_string(heun{.steps = 8}) == "heun{steps = 8}");
    CHECK(heun{}.steps == 18);
    CHECK(heun{.steps = 8} == heun{.steps = 8});
    CHECK_FALSE(heun{.steps = 8} == heun{.steps = 9});
}

}  // namespace heun_tests
