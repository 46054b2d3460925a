#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/straightness.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace straightness_tests {

using onestep::cpu;
using onestep::index_t;
using onestep::model;
using onestep::rectified_flow;
using onestep::straightness;
using onestep::tensor;

namespace {

/// Data concentrated at one point c: x0 = c wherever one stands, and every path is a straight line to c.
struct point {
    float c;
    void operator()(auto x, auto, auto y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = c;
    }
};
/// u = f(t), the same for all x.
template <double (*F)(double)> struct moving {
    void operator()(auto x, auto t, auto y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<float>(F(t.data()[i / x.cols()]));
    }
};
double linear(double t) { return 6 * t; }
double constant(double) { return -2; }
double nothing(double) { return 0; }
/// Data N(0, s^2): E[epsilon - x0 | x_t = x] = x (t - (1 - t) s^2) / ((1 - t)^2 s^2 + t^2), here with s = 1/2.
struct gaussian {
    void operator()(auto x, auto t, auto y) const {
        for (index_t i = 0; i < x.size(); ++i) {
            float const at = t.data()[i / x.cols()], square = 0.25f;
            y.data()[i] = x.data()[i] * (at - (1 - at) * square) / ((1 - at) * (1 - at) * square + at * at);
        }
    }
};

}  // namespace

TEST_CASE("straightness: a constant velocity is straight, exactly") {
    cpu device;
    auto const z = onestep::normal<float>(device, {20, 3}, 1);
    auto const report = straightness(model{moving<constant>{}, rectified_flow{}, onestep::velocity{}}, z);
    CHECK(report.value == 0);
    CHECK(report.normalised == 0);
    CHECK(report.transport_cost == doctest::Approx(4 * 3).epsilon(1e-12));
    CHECK(report.n == 20);
    CHECK(report.steps == 100);
}

TEST_CASE("straightness: paths to one point are straight within rounding") {
    cpu device;
    auto const z = onestep::normal<float>(device, {20, 3}, 2);
    auto const report = straightness(model{point{0.5f}, rectified_flow{}, onestep::x0{}}, z.view());
    CHECK(report.normalised < 1e-10);
    double cost = 0;
    for (float value : z.to_host()) cost += (value - 0.5) * (value - 0.5) / 20;
    CHECK(report.transport_cost == doctest::Approx(cost).epsilon(1e-6));
}

TEST_CASE("straightness: u = 6 t by hand") {
    // Times 1, 3/4, 1/2, 1/4 give u = 6, 4.5, 3, 1.5: mean 3.75, variance 2.8125, for each of two elements.
    cpu device;
    auto const z = onestep::normal<float>(device, {5, 2}, 3);
    auto const report = straightness(model{moving<linear>{}, rectified_flow{}, onestep::velocity{}}, z, {.steps = 4});
    CHECK(report.value == doctest::Approx(2 * 2.8125).epsilon(1e-12));
    CHECK(report.transport_cost == doctest::Approx(2 * 3.75 * 3.75).epsilon(1e-12));
    CHECK(report.normalised == doctest::Approx(2.8125 / (3.75 * 3.75)).epsilon(1e-12));
    // The integral itself: the variance of 6 t on [0, 1] is 3; Euler on equal steps finds 3 (1 - 1 / steps^2).
    CHECK(straightness(model{moving<linear>{}, rectified_flow{}, onestep::velocity{}}, z, {.steps = 100}).value ==
          doctest::Approx(6 * (1 - 1e-4)).epsilon(1e-6));
}

TEST_CASE("straightness: a Gaussian flow against its closed form, error of first order") {
    // Z_t = z sqrt((1 - t)^2 / 4 + t^2) =: z r(t); S = E z^2 (int r'^2 dt - (r(1) - r(0))^2), r(1) = 1, r(0) = 1/2.
    constexpr int n = 100000;
    double integral = 0;
    for (int i = 0; i < n; ++i) {
        double const t = (i + 0.5) / n, r = std::sqrt((1 - t) * (1 - t) / 4 + t * t), slope = (t - (1 - t) / 4) / r;
        integral += slope * slope / n;
    }
    cpu device;
    auto const z = onestep::normal<float>(device, {50, 2}, 4);
    double square = 0;
    for (float value : z.to_host()) square += static_cast<double>(value) * value / 50;
    double const exact = square * (integral - 0.25);
    double errors[2];
    int steps[] = {200, 400};
    for (int k = 0; k < 2; ++k)
        errors[k] = straightness(model{gaussian{}, rectified_flow{}, onestep::velocity{}}, z, {.steps = steps[k]}).value / exact - 1;
    CHECK(std::fabs(errors[1]) < 0.02);
    CHECK(errors[0] / errors[1] == doctest::Approx(2).epsilon(0.05));
}

TEST_CASE("straightness: no way to go has no normalised value to speak of") {
    cpu device;
    auto const z = onestep::normal<float>(device, {5, 2}, 3);
    auto const report = straightness(model{moving<nothing>{}, rectified_flow{}, onestep::velocity{}}, z);
    CHECK(report.value == 0);
    CHECK(report.normalised == 0);
    CHECK(report.transport_cost == 0);
}

TEST_CASE("straightness: the same bits for any number of threads, and z is left alone") {
    double values[3];
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        auto const z = onestep::normal<float>(device, {33, 5}, 1);
        auto const before = z.to_host();
        values[threads - 1] = straightness(model{gaussian{}, rectified_flow{}, onestep::velocity{}}, z, {.steps = 10});
        CHECK(z.to_host() == before);
    }
    CHECK(values[0] == values[1]);
    CHECK(values[0] == values[2]);
    CHECK(values[0] > 0);
}

TEST_CASE("straightness: what it refuses") {
    cpu device;
    model const flow{moving<constant>{}, rectified_flow{}, onestep::velocity{}};
    auto z = onestep::normal<float>(device, {3, 2}, 1);
    CHECK_THROWS_WITH_AS(straightness(flow, z, {.steps = 1}), "domain_error: straightness: steps is 1, at least 2 are needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(straightness(flow, tensor<float, cpu>(device, {0, 2})),
                         "shape_error: straightness: z is empty, at least 1 path is needed", onestep::shape_error);
    z.data()[0] = std::numeric_limits<float>::quiet_NaN();
    model const falling{gaussian{}, rectified_flow{}, onestep::velocity{}};
    CHECK_THROWS_AS(straightness(falling, z), onestep::not_finite_error);
}

TEST_CASE("straightness: the report prints itself") {
    CHECK(to_string(onestep::straightness_report{0.25, 0.0625, 4, 1000, 100}) ==
          "straightness = 0.25 (normalised = 0.0625, transport cost = 4, n = 1000, steps = 100)");
}

}  // namespace straightness_tests
