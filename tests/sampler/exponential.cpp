#include <onestep/sampler/exponential.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>

#include <doctest/doctest.h>

namespace exponential_tests {

using namespace onestep;

namespace {

/// Integral over [0, 1] of exp((1 - theta) z) f(theta): Gauss's rule of 4 points on many equal parts, in long double.
template <class F> double integral(double z, F const& f) {
    long double const node[] = {0.339981043584856264803L, 0.861136311594052575224L};
    long double const weight[] = {0.652145154862546142627L, 0.347854845137453857373L};
    int const parts = 400;
    long double sum = 0;
    for (int i = 0; i < parts; ++i)
        for (int k = 0; k < 4; ++k) {
            long double const theta = (i + 0.5L + (k % 2 ? 0.5L : -0.5L) * node[k / 2]) / parts;
            sum += weight[k / 2] / 2 * std::exp((1 - theta) * z) * f(theta);
        }
    return static_cast<double>(sum / parts);
}

}  // namespace

TEST_CASE("phi: is its integral") {
    for (double z : {-40.0, -7.0, -2.01, -2.0, -1.99, -0.5, -1e-3, -1e-9, 0.0, 1e-9, 0.3, 1.99, 2.0, 5.0, 20.0})
        for (int k = 1; k <= 5; ++k) {
            CAPTURE(z);
            CAPTURE(k);
            double factorial = 1;
            for (int j = 2; j < k; ++j) factorial *= j;
            CHECK(phi(k, z) ==
                  doctest::Approx(integral(z, [&](long double theta) { return std::pow(theta, k - 1) / factorial; })).epsilon(2e-14));
        }
}

TEST_CASE("phi: at zero and at the ends") {
    CHECK(phi(1, 0) == 1);
    CHECK(phi(2, 0) == 0.5);
    CHECK(phi(3, 0) == 1 / 6.0);
    CHECK(phi(1, -HUGE_VAL) == 0);
    CHECK(phi(4, -HUGE_VAL) == 0);
    CHECK(phi(1, 1) == doctest::Approx(std::exp(1.0) - 1).epsilon(1e-15));
}

TEST_CASE("exponential_weights: exact for polynomials below their number, through any nodes") {
    std::array<double, 4> const nodes[] = {{0, -0.3, -1.7, -2}, {0, -1, -2, -3}, {1, 0, -0.4, -1.1}, {0, 0.25, 0.75, 0.9}};
    for (auto const& node : nodes)
        for (double z : {-12.0, -1.0, -1e-4, 0.7, 6.0})
            for (int count = 1; count <= 4; ++count) {
                CAPTURE(z);
                CAPTURE(count);
                auto const w = exponential_weights(z, node, count);
                for (int power = 0; power < count; ++power) {
                    double sum = 0, size = 0;
                    for (int j = 0; j < count; ++j) {
                        double const term = w[static_cast<std::size_t>(j)] * std::pow(node[static_cast<std::size_t>(j)], power);
                        sum += term;
                        size += std::fabs(term);
                    }
                    double const exact = integral(z, [&](long double theta) { return std::pow(theta, power); });
                    CHECK(std::fabs(sum - exact) < 1e-13 * (size + std::fabs(exact)));
                }
                for (int j = count; j < 4; ++j) CHECK(w[static_cast<std::size_t>(j)] == 0);
            }
}

TEST_CASE("exponential_weights: at z = 0 those of Adams and Bashforth") {
    auto const w = exponential_weights(0, {0, -1, -2, -3}, 4);
    double const expected[] = {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24};
    for (std::size_t j = 0; j < 4; ++j) CHECK(w[j] == doctest::Approx(expected[j]).epsilon(1e-14));
}

TEST_CASE("log_snr_step: leads from marginal to marginal") {
    auto const check = [](auto const& p, double t, double s) {
        log_snr_step const step = log_snr_step_of("solver", p, t, s);
        CHECK(step.is_finite());
        CHECK(step.from == doctest::Approx(std::log(p.alpha(t) / p.sigma(t))).epsilon(1e-13));
        CHECK(step.h == doctest::Approx(std::log(p.alpha(s) / p.sigma(s) * p.sigma(t) / p.alpha(t))).epsilon(1e-12));
        CHECK(step.left * p.sigma(t) == doctest::Approx(p.sigma(s)).epsilon(1e-14));
        CHECK(step.left * p.alpha(t) + step.first == doctest::Approx(p.alpha(s)).epsilon(1e-13));
    };
    for (double s : {0.05, 0.4, 0.69, 0.9}) {
        check(rectified_flow{}, 0.7, s);
        check(variance_preserving{}, 0.7, s);
        check(edm{}, 0.7, s);
        check(trigonometric_flow{}, 0.7, s);
    }
    // EDM: 1 - s / t, which must keep its digits
    double const s = 80 * (1 - 0x1p-30);
    CHECK(log_snr_step_of("solver", edm{}, 80, s).first == doctest::Approx(0x1p-30).epsilon(1e-6));
}

TEST_CASE("log_snr_step: at the data, and where there is no signal") {
    log_snr_step const last = log_snr_step_of("solver", rectified_flow{}, 0.3, 0);
    CHECK(last.h == HUGE_VAL);
    CHECK(last.left == 0);
    CHECK(last.first == 1);
    log_snr_step const first = log_snr_step_of("solver", rectified_flow{}, 1, 0.75);
    CHECK(first.h == HUGE_VAL);
    CHECK(first.left == 0.75);
    CHECK(first.first == 0.25);
    log_snr_step const back = log_snr_step_of("solver", rectified_flow{}, 0.5, 1);
    CHECK(back.h == -HUGE_VAL);
    CHECK(back.left == 2);
    CHECK(back.first == -1);
    CHECK_THROWS_WITH_AS(
        log_snr_step_of("solver", rectified_flow{}, 0, 1),
        "domain_error: solver: a step starts at t = 0 with sigma = 0, steps in log-SNR start where there is noise; begin an "
        "inversion at a later time",
        domain_error);
}

TEST_CASE("slope_weight: both forms agree on short steps, and their names are printed") {
    for (double h : {1e-3, 0.1, 2.0}) {
        CHECK(slope_weight(second_order::midpoint, h) == doctest::Approx((1 - std::exp(-h)) / 2).epsilon(1e-13));
        CHECK(slope_weight(second_order::heun, h) == doctest::Approx((std::exp(-h) - 1) / h + 1).epsilon(1e-12));
    }
    CHECK(slope_weight(second_order::heun, 1e-6) == doctest::Approx(slope_weight(second_order::midpoint, 1e-6)).epsilon(1e-6));
    CHECK(std::string(to_string(second_order::heun)) == "heun");
}

}  // namespace exponential_tests
