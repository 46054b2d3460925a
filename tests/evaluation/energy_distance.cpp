#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/energy_distance.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace energy_distance_tests {

using onestep::cpu;
using onestep::energy_distance;
using onestep::index_t;
using onestep::tensor;

namespace {

/// The samples of tests/golden/evaluation/make.py.
std::vector<double> recurrence(index_t count, std::uint32_t state, double scale = 1, double shift = 0) {
    std::vector<double> values;
    for (index_t i = 0; i < count; ++i) {
        state = (state * 1103515245u + 12345u) & 0x7fffffffu;
        values.push_back(((state >> 16) % 1024 / 256.0 - 2) * scale + shift);
    }
    return values;
}

struct golden {
    index_t n, m, d;
    int directions;
    std::uint64_t seed;
    double sliced_wasserstein, energy_squared;
};
constexpr golden goldens[] = {
#include "../golden/evaluation/distances.inc"
};

double norm(double const* x, double const* y, index_t d) {
    double square = 0;
    for (index_t e = 0; e < d; ++e) square += (x[e] - y[e]) * (x[e] - y[e]);
    return std::sqrt(square);
}

double naive(std::vector<double> const& x, std::vector<double> const& y, index_t d) {
    auto const n = static_cast<index_t>(x.size()) / d, m = static_cast<index_t>(y.size()) / d;
    double xy = 0, xx = 0, yy = 0;
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < m; ++j) xy += norm(&x[static_cast<std::size_t>(i * d)], &y[static_cast<std::size_t>(j * d)], d);
    for (index_t i = 0; i < n; ++i)
        for (index_t j = 0; j < n; ++j)
            if (i != j) xx += norm(&x[static_cast<std::size_t>(i * d)], &x[static_cast<std::size_t>(j * d)], d);
    for (index_t i = 0; i < m; ++i)
        for (index_t j = 0; j < m; ++j)
            if (i != j) yy += norm(&y[static_cast<std::size_t>(i * d)], &y[static_cast<std::size_t>(j * d)], d);
    auto const a = static_cast<double>(n), b = static_cast<double>(m);
    return 2 * xy / (a * b) - xx / (a * (a - 1)) - yy / (b * (b - 1));
}

}  // namespace

TEST_CASE("energy_distance: agrees with a plain double loop for every remainder of the blocks") {
    cpu device;
    for (index_t n : {2, 3, 15, 16, 17, 18, 31, 33, 50})
        for (index_t m : {2, 5, 16, 19, 32})
            for (index_t d : {1, 2, 7}) {
                auto const x = recurrence(n * d, 1), y = recurrence(m * d, 9, 1, 0.5);
                auto const report = energy_distance(tensor<double, cpu>(device, {n, d}, x), tensor<double, cpu>(device, {m, d}, y));
                double const expected = naive(x, y, d);
                CAPTURE(n);
                CAPTURE(m);
                CHECK(std::fabs(report.squared - expected) < 1e-13);
                CHECK(report.value == std::sqrt(std::fmax(report.squared, 0.0)));
                CHECK(report.n == n);
                CHECK(report.m == m);
            }
}

TEST_CASE("energy_distance: agrees with SciPy") {
    cpu device;
    for (golden const& g : goldens) {
        tensor<double, cpu> const x(device, {g.n, g.d}, recurrence(g.n * g.d, 1)),
            y(device, {g.m, g.d}, recurrence(g.m * g.d, 2, 0.5, 0.25));
        CAPTURE(g.n);
        CHECK(energy_distance(x, y).squared == doctest::Approx(g.energy_squared).epsilon(1e-12));
    }
}

TEST_CASE("energy_distance: point masses at a and b are sqrt(2 |a - b|) apart") {
    cpu device;
    std::vector<float> x, y;
    for (int i = 0; i < 21; ++i) {
        x.insert(x.end(), {1, 2, 0});
        y.insert(y.end(), {4, 6, 0});
    }
    y.resize(3 * 19);
    auto const report = energy_distance(tensor<float, cpu>(device, {21, 3}, x), tensor<float, cpu>(device, {19, 3}, y));
    CHECK(report.squared == doctest::Approx(10).epsilon(1e-15));
    CHECK(report.value == doctest::Approx(std::sqrt(10.0)).epsilon(1e-15));
}

TEST_CASE("energy_distance: neighbours far from the origin do not cancel") {
    cpu device;
    std::vector<float> const x{1e6f, 1e6f}, y{1e6f + 0.0625f, 1e6f + 0.0625f};
    CHECK(energy_distance(tensor<float, cpu>(device, {2, 1}, x), tensor<float, cpu>(device, {2, 1}, y)).squared == 0.125);
}

TEST_CASE("energy_distance: a negative estimate gives 0 and is reported") {
    cpu device;
    auto const x = onestep::normal<float>(device, {40, 3}, 1);
    auto const same = energy_distance(x, x);
    CHECK(same.value == 0);
    CHECK(same.squared < 0);  // pairs of a sample with itself count between the sets and not within
}

TEST_CASE("energy_distance: two normals that are mu apart on a line") {
    // E|X - Y| of N(0, 1) and N(mu, 1): 2 exp(-mu^2 / 4) / sqrt(pi) + mu erf(mu / 2)
    cpu device;
    constexpr double mu = 1.5;
    constexpr index_t n = 2000;
    auto const x = onestep::normal<double>(device, {n, 1}, 1);
    auto y = onestep::normal<double>(device, {n, 1}, 2);
    for (index_t i = 0; i < n; ++i) y.data()[i] += mu;
    double const pi = std::acos(-1.0);
    double const expected = 2 * (2 * std::exp(-mu * mu / 4) / std::sqrt(pi) + mu * std::erf(mu / 2)) - 4 / std::sqrt(pi);
    // The estimate's deviation is about 2 sqrt(2 / n) = 0.06 at most; the seeds are fixed.
    CHECK(energy_distance(x, y).squared == doctest::Approx(expected).epsilon(0.06));
}

TEST_CASE("energy_distance: the same bits for any number of threads, and symmetric") {
    cpu one(1), two(2), three(3);
    double values[3];
    cpu* devices[] = {&one, &two, &three};
    for (int i = 0; i < 3; ++i) {
        auto const x = onestep::normal<float>(*devices[i], {200, 2, 3}, 1), y = onestep::normal<float>(*devices[i], {133, 2, 3}, 2);
        values[i] = energy_distance(x, y.view()).squared;
        CHECK(energy_distance(y, x).squared == doctest::Approx(values[i]).epsilon(1e-9));
    }
    CHECK(values[0] == values[1]);
    CHECK(values[0] == values[2]);
}

TEST_CASE("energy_distance: what it refuses") {
    cpu device;
    tensor<float, cpu> const x(device, {4, 2}, std::vector<float>(8)), wide(device, {4, 3}, std::vector<float>(12)),
        one(device, {1, 2}, {0, 0});
    auto poisoned = x;
    poisoned.data()[6] = -std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH_AS(energy_distance(x, wide),
                         "shape_error: energy_distance: y is [4, 3], its samples are compared with x, which is [n, 2]",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(energy_distance(x, one), "shape_error: energy_distance: y is [1, 2], at least 2 samples are needed",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(energy_distance(one, x), "shape_error: energy_distance: x is [1, 2], at least 2 samples are needed",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(
        energy_distance(x, poisoned),
        "not_finite_error: energy_distance: element 0 of sample 3 of y is -inf, samples must be finite, at most 1e150 in size",
        onestep::not_finite_error);
}

TEST_CASE("energy_distance: the report prints itself and converts") {
    onestep::energy_distance_report const report{0.25, 0.0625, 4096, 1797};
    CHECK(to_string(report) == "energy_distance = 0.25 (squared = 0.0625, n = 4096, m = 1797)");
    double const value = report;
    CHECK(value == 0.25);
}

}  // namespace energy_distance_tests
