#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace rectified_flow_tests {

using onestep::rectified_flow;

namespace {

struct no_derivative {
    double alpha(double) const { return 1; }
    double sigma(double) const { return 0; }
};
struct returns_float {
    float alpha(double) const { return 1; }
    float sigma(double) const { return 0; }
};

}  // namespace

TEST_CASE("rectified_flow: data at 0, noise at 1, a straight line between") {
    rectified_flow const p;
    CHECK(p.t_min() == 0);
    CHECK(p.t_max() == 1);
    CHECK(p.alpha(0) == 1);
    CHECK(p.sigma(0) == 0);
    CHECK(p.alpha(1) == 0);
    CHECK(p.sigma(1) == 1);
    CHECK(p.alpha(0.25) == 0.75);
    CHECK(p.sigma(0.25) == 0.25);
}

TEST_CASE("rectified_flow: derivatives agree with difference quotients") {
    rectified_flow const p;
    constexpr double h = 0x1p-20;
    for (double t : {0.125, 0.3, 0.5, 0.875}) {
        CHECK(p.alpha_derivative(t) == doctest::Approx((p.alpha(t + h) - p.alpha(t - h)) / (2 * h)).epsilon(1e-9));
        CHECK(p.sigma_derivative(t) == doctest::Approx((p.sigma(t + h) - p.sigma(t - h)) / (2 * h)).epsilon(1e-9));
    }
}

TEST_CASE("rectified_flow: log_snr is log(alpha^2 / sigma^2) and falls") {
    rectified_flow const p;
    double before = HUGE_VAL;
    for (double t = 0x1p-10; t < 1; t += 0x1p-10) {
        double const ratio = p.alpha(t) / p.sigma(t), value = p.log_snr(t);
        CHECK(std::fabs(value - std::log(ratio * ratio)) < 1e-12);
        CHECK(value < before);
        before = value;
    }
    CHECK(p.log_snr(0.5) == 0);
    CHECK(p.log_snr(0) == HUGE_VAL);
    CHECK(p.log_snr(1) == -HUGE_VAL);
}

TEST_CASE("rectified_flow: time_of_log_snr inverts log_snr, its ends too") {
    rectified_flow const p;
    for (double t : {1e-12, 1e-6, 0.001, 0.1, 0.5, 0.9, 0.999}) CHECK(p.time_of_log_snr(p.log_snr(t)) == doctest::Approx(t).epsilon(1e-12));
    for (double value : {-30.0, -3.0, 0.0, 1.5, 40.0}) CHECK(std::fabs(p.log_snr(p.time_of_log_snr(value)) - value) < 1e-7);
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 1);
}

TEST_CASE("rectified_flow: marginal_at gathers what it says") {
    auto const m = marginal_at(rectified_flow{}, 0.25);
    CHECK(m.t == 0.25);
    CHECK(m.alpha == 0.75);
    CHECK(m.sigma == 0.25);
    CHECK(m.alpha_derivative == -1);
    CHECK(m.sigma_derivative == 1);
}

TEST_CASE("rectified_flow: is a process, and half a process is none") {
    CHECK(onestep::process<rectified_flow>);
    CHECK(onestep::has_signal_and_noise<no_derivative>);
    CHECK_FALSE(onestep::has_derivatives<no_derivative>);
    CHECK_FALSE(onestep::process<no_derivative>);
    CHECK_FALSE(onestep::has_signal_and_noise<returns_float>);
    CHECK(rectified_flow{} == rectified_flow{});
}

}  // namespace rectified_flow_tests
