#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/logit_normal.hpp>

#include <string>

#include "densities.hpp"

namespace logit_normal_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

struct moments {
    double mean, square;
};

/// Moments of 1 / (1 + exp(-(mean + deviation z))) under N(0, 1) by the trapezoidal rule on [-12, 12]: errors below 1e-12.
moments integrated(double mean, double deviation) {
    moments m{};
    constexpr double h = 1.0 / 256;
    for (int i = -12 * 256; i <= 12 * 256; ++i) {
        double const z = i * h, weight = h * std::exp(-z * z / 2) / std::sqrt(2 * std::acos(-1.0));
        double const t = 1 / (1 + std::exp(-(mean + deviation * z)));
        m.mean += weight * t;
        m.square += weight * t * t;
    }
    return m;
}

}  // namespace

TEST_CASE("logit_normal: has the moments of numerical integration") {
    constexpr index_t n = 1 << 16;
    for (double mean : {0.0, -0.5, 1.0})
        for (double deviation : {1.0, 0.3, 2.0}) {
            auto const exact = integrated(mean, deviation);
            auto const stream = random_key{31}.at(draw::time);
            moments estimate{};
            for (index_t r = 0; r < n; ++r) {
                double const t = logit_normal{.mean = mean, .deviation = deviation}.sample(rectified_flow{}, stream, r);
                estimate.mean += t / n;
                estimate.square += t * t / n;
            }
            double const spread = std::sqrt((exact.square - exact.mean * exact.mean) / n);
            CAPTURE(mean);
            CAPTURE(deviation);
            CHECK(std::fabs(estimate.mean - exact.mean) < 5 * spread);       // five deviations: one seed in a million fails
            CHECK(std::fabs(estimate.square - exact.square) < 10 * spread);  // t^2 has at most twice the deviation of t
        }
}

TEST_CASE("logit_normal: its logit is normal, on the fraction of the process's range") {
    logit_normal const density{.mean = -0.8, .deviation = 1.6};
    auto const logit = [](double u) { return normal_distribution((std::log(u / (1 - u)) + 0.8) / 1.6); };
    check_distribution(density, rectified_flow{}, logit);
    check_distribution(density, edm{}, [&](double t) { return logit(t / 80); });
    check_rows(density, rectified_flow{});
}

TEST_CASE("logit_normal: stays inside the range however wide it is") {
    auto const stream = random_key{33}.at(draw::time);
    for (index_t r = 0; r < 1000; ++r) {
        double const t = logit_normal{.mean = 0, .deviation = 500}.sample(variance_preserving{}, stream, r);
        CHECK(t >= 1e-3);
        CHECK(t <= 1);
    }
}

TEST_CASE("logit_normal: refuses a deviation that is not positive") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((logit_normal{.mean = 0, .deviation = 0}.sample(rectified_flow{}, stream, 0)),
                         "domain_error: logit_normal: deviation is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS((logit_normal{.mean = 0, .deviation = -1}.sample(rectified_flow{}, stream, 0)), domain_error);
    CHECK_THROWS_AS((logit_normal{.mean = 0, .deviation = std::nan("")}.sample(rectified_flow{}, stream, 0)), domain_error);
}

TEST_CASE("logit_normal: is a density and a spec") {
    CHECK(time_density<logit_normal, edm>);
    CHECK(to_string(logit_normal{.mean = -0.5, .deviation = 2}) == "logit_normal{mean = -0.5, deviation = 2}");
    CHECK(logit_normal{} == logit_normal{.mean = 0, .deviation = 1});
    CHECK_FALSE(logit_normal{} == logit_normal{.mean = 1});
}

}  // namespace logit_normal_tests
