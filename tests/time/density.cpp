#include <onestep/time/density.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using onestep::draw;
using onestep::index_t;
using onestep::logit_normal;
using onestep::random_key;
using onestep::uniform_density;

namespace {

constexpr index_t n = 1 << 17;

struct moments {
    double mean, square;
};

template <class Density> moments sampled(Density const& density, double low, double high) {
    auto const stream = random_key{31}.at(draw::time);
    moments m{};
    for (index_t r = 0; r < n; ++r) {
        double const t = density.sample(stream, r, low, high);
        m.mean += t;
        m.square += t * t;
    }
    return {m.mean / n, m.square / n};
}

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

TEST_CASE("density: uniform_density has the moments of its interval") {
    // Five deviations of the estimates: one seed in a million fails.
    auto const unit = sampled(uniform_density{}, 0, 1);
    CHECK(std::fabs(unit.mean - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
    CHECK(std::fabs(unit.square - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
    auto const other = sampled(uniform_density{}, -1, 3);
    CHECK(std::fabs(other.mean - 1) < 5 * 4 * std::sqrt(1.0 / 12 / n));
}

TEST_CASE("density: logit_normal has the moments of numerical integration") {
    for (double mean : {0.0, -0.5, 1.0})
        for (double deviation : {1.0, 0.3, 2.0}) {
            auto const exact = integrated(mean, deviation), estimate = sampled(logit_normal{.mean = mean, .deviation = deviation}, 0, 1);
            double const spread = std::sqrt((exact.square - exact.mean * exact.mean) / n);
            CAPTURE(mean);
            CAPTURE(deviation);
            CHECK(std::fabs(estimate.mean - exact.mean) < 5 * spread);
            CHECK(std::fabs(estimate.square - exact.square) < 10 * spread);  // t^2 has at most twice the deviation of t
        }
}

TEST_CASE("density: half of logit_normal lies below the logistic of its mean") {
    logit_normal const density{.mean = -0.8, .deviation = 1.6};
    auto const stream = random_key{32}.at(draw::time);
    double const median = 0.25 + 0.5 / (1 + std::exp(0.8));
    index_t below = 0;
    for (index_t r = 0; r < n; ++r) below += density.sample(stream, r, 0.25, 0.75) < median;
    CHECK(std::fabs(static_cast<double>(below) - n / 2.0) < 5 * std::sqrt(n / 4.0));
}

TEST_CASE("density: times stay inside their interval and depend on the row alone") {
    auto const stream = random_key{33, 4, 0}.at(draw::time), shifted = random_key{33, 4, 100}.at(draw::time);
    for (index_t r = 0; r < 1000; ++r) {
        for (double t :
             {uniform_density{}.sample(stream, r, 0.01, 0.99), logit_normal{.mean = 0, .deviation = 50}.sample(stream, r, 0.01, 0.99)}) {
            CHECK(t >= 0.01);
            CHECK(t <= 0.99);
        }
        CHECK(uniform_density{}.sample(stream, r + 100, 0, 1) == uniform_density{}.sample(shifted, r, 0, 1));
        CHECK(logit_normal{}.sample(stream, r + 100, 0, 1) == logit_normal{}.sample(shifted, r, 0, 1));
    }
    CHECK(logit_normal{}.sample(stream, 0, 0, 1) != logit_normal{}.sample(stream, 1, 0, 1));
}

TEST_CASE("density: logit_normal refuses a deviation that is not positive") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((logit_normal{.mean = 0, .deviation = 0}.sample(stream, 0, 0, 1)),
                         "domain_error: logit_normal: deviation is 0, it must be > 0", onestep::domain_error);
    CHECK_THROWS_AS((logit_normal{.mean = 0, .deviation = -1}.sample(stream, 0, 0, 1)), onestep::domain_error);
    CHECK_THROWS_AS((logit_normal{.mean = 0, .deviation = std::nan("")}.sample(stream, 0, 0, 1)), onestep::domain_error);
}

TEST_CASE("density: both are densities and specs") {
    CHECK(onestep::time_density<uniform_density>);
    CHECK(onestep::time_density<logit_normal>);
    CHECK(to_string(uniform_density{}) == "uniform_density{}");
    CHECK(to_string(logit_normal{.mean = -0.5, .deviation = 2}) == "logit_normal{mean = -0.5, deviation = 2}");
    CHECK(logit_normal{} == logit_normal{.mean = 0, .deviation = 1});
    CHECK_FALSE(logit_normal{} == logit_normal{.mean = 1});
}
