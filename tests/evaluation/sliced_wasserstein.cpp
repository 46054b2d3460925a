#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/sliced_wasserstein.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace sliced_wasserstein_tests {

using onestep::cpu;
using onestep::index_t;
using onestep::sliced_wasserstein;
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

double distance(std::vector<float> const& x, std::vector<float> const& y, index_t d, onestep::sliced_wasserstein_options options = {}) {
    cpu device;
    tensor<float, cpu> const a(device, {static_cast<index_t>(x.size()) / d, d}, x), b(device, {static_cast<index_t>(y.size()) / d, d}, y);
    return sliced_wasserstein(a, b, options);
}

}  // namespace

TEST_CASE("sliced_wasserstein: agrees with POT on the same directions") {
    cpu device;
    for (golden const& g : goldens) {
        tensor<double, cpu> const x(device, {g.n, g.d}, recurrence(g.n * g.d, 1)),
            y(device, {g.m, g.d}, recurrence(g.m * g.d, 2, 0.5, 0.25));
        auto const report = sliced_wasserstein(x, y, {.directions = g.directions, .seed = g.seed});
        CAPTURE(g.n);
        CHECK(report.value == doctest::Approx(g.sliced_wasserstein).epsilon(1e-6));
        CHECK(report.n == g.n);
        CHECK(report.m == g.m);
        CHECK(report.directions == g.directions);
        CHECK(report.seed == g.seed);
    }
}

TEST_CASE("sliced_wasserstein: on a line it is the Wasserstein distance") {
    CHECK(distance({0, 1, 2, 3}, {0.5f, 1.5f, 2.5f, 3.5f}, 1) == 0.5);
    CHECK(distance({0}, {-3}, 1) == 3);
    CHECK(distance({3, 0}, {4, 1}, 1) == 1);
    // {0, 1} against {0, 0, 3}: quantiles differ by 0 on [0, 1/2), by 1 on [1/2, 2/3) and by 2 on [2/3, 1)
    CHECK(distance({0, 1}, {0, 3, 0}, 1) == doctest::Approx(std::sqrt(1.0 / 6 + 4.0 / 3)).epsilon(1e-15));
}

TEST_CASE("sliced_wasserstein: normal quantiles shifted by mu are mu apart") {
    std::vector<float> x, y;
    for (int i = 0; i < 512; ++i) {
        float const u = static_cast<float>(i) / 64 - 4;
        x.push_back(u * u * u);
        y.push_back(u * u * u + 1.25f);
    }
    CHECK(distance(x, y, 1) == doctest::Approx(1.25).epsilon(1e-6));
}

TEST_CASE("sliced_wasserstein: a shift by v is |v| / root of d in the mean over directions") {
    cpu device;
    constexpr index_t n = 64, d = 8;
    tensor<double, cpu> x(device, {n, d}), y(device, {n, d});
    onestep::fill_normal(x.view(), onestep::random_key{5}.at(onestep::draw::noise));
    double square = 0;
    for (index_t e = 0; e < d; ++e) square += (0.5 + 0.25 * static_cast<double>(e)) * (0.5 + 0.25 * static_cast<double>(e));
    for (index_t i = 0; i < n * d; ++i) y.data()[i] = x.data()[i] + 0.5 + 0.25 * static_cast<double>(i % d);
    // The mean of (w . v)^2 over K directions has relative deviation sqrt(2 (d - 1) / (d + 2) / K): 1.2 % here, half of it
    // in the root; four of those are allowed.
    double const value = sliced_wasserstein(x, y, {.directions = 10000, .seed = 1});
    CHECK(value == doctest::Approx(std::sqrt(square / d)).epsilon(0.024));
    // On each line the shift is constant, so the value is the root mean square of w . v exactly: a single direction tells.
    auto const w = onestep::evaluation::direction_block(9, 0, 1, d);
    double along = 0;
    for (index_t e = 0; e < d; ++e)
        along += w[static_cast<std::size_t>(e * onestep::evaluation::direction_lanes)] * (0.5 + 0.25 * static_cast<double>(e));
    CHECK(sliced_wasserstein(x, y, {.directions = 1, .seed = 9}).value == doctest::Approx(std::fabs(along)).epsilon(1e-12));
}

TEST_CASE("sliced_wasserstein: directions have length 1 and do not depend on the block") {
    using onestep::evaluation::direction_block;
    using onestep::evaluation::direction_lanes;
    for (index_t d : {1, 2, 3, 5, 64}) {
        auto const block = direction_block(3, 0, direction_lanes, d);
        for (index_t k = 0; k < direction_lanes; ++k) {
            auto const alone = direction_block(3, k, 1, d);
            double square = 0;
            for (index_t e = 0; e < d; ++e) {
                double const value = block[static_cast<std::size_t>(e * direction_lanes + k)];
                square += value * value;
                CHECK(value == alone[static_cast<std::size_t>(e * direction_lanes)]);
            }
            CHECK(square == doctest::Approx(1).epsilon(1e-12));
        }
    }
}

TEST_CASE("sliced_wasserstein: the order of samples, and which set comes first, change no bit") {
    auto const x = recurrence(60, 3), y = recurrence(84, 4);
    auto reversed = [](std::vector<double> const& v, index_t d) {
        std::vector<double> out;
        for (index_t i = static_cast<index_t>(v.size()) / d - 1; i >= 0; --i)
            out.insert(out.end(), v.begin() + i * d, v.begin() + (i + 1) * d);
        return out;
    };
    cpu device;
    tensor<double, cpu> const a(device, {20, 3}, x), b(device, {28, 3}, y), ra(device, {20, 3}, reversed(x, 3)),
        rb(device, {28, 3}, reversed(y, 3));
    double const value = sliced_wasserstein(a, b);
    CHECK(value > 0.01);
    CHECK(sliced_wasserstein(ra, b).value == value);
    CHECK(sliced_wasserstein(ra, rb).value == value);
    CHECK(sliced_wasserstein(b, a).value == value);
}

TEST_CASE("sliced_wasserstein: repeating every sample of a set changes no bit") {
    cpu device;
    auto const x = recurrence(21, 5), y = recurrence(33, 6);
    tensor<double, cpu> const a(device, {7, 3}, x), b(device, {11, 3}, y);
    double const value = sliced_wasserstein(a, b);
    for (int times : {2, 3, 5}) {
        std::vector<double> many, each;
        for (int k = 0; k < times; ++k) many.insert(many.end(), x.begin(), x.end());
        for (std::size_t i = 0; i < x.size(); i += 3)
            for (int k = 0; k < times; ++k)
                each.insert(each.end(), x.begin() + static_cast<index_t>(i), x.begin() + static_cast<index_t>(i) + 3);
        CHECK(sliced_wasserstein(tensor<double, cpu>(device, {7 * times, 3}, many), b).value == value);
        CHECK(sliced_wasserstein(b, tensor<double, cpu>(device, {7 * times, 3}, each)).value == value);
        CHECK(sliced_wasserstein(a, tensor<double, cpu>(device, {7 * times, 3}, many)).value == 0);
    }
}

TEST_CASE("sliced_wasserstein: the same bits for any number of threads") {
    cpu one(1), two(2), three(3);
    double values[3];
    cpu* devices[] = {&one, &two, &three};
    for (int i = 0; i < 3; ++i) {
        auto const x = onestep::normal<float>(*devices[i], {200, 2, 3}, 1), y = onestep::normal<float>(*devices[i], {133, 2, 3}, 2);
        values[i] = sliced_wasserstein(x, y.view(), {.directions = 100});
    }
    CHECK(values[0] == values[1]);
    CHECK(values[0] == values[2]);
    CHECK(values[0] > 0);
}

TEST_CASE("sliced_wasserstein: a set is at distance 0 from itself, and seeds matter otherwise") {
    cpu device;
    auto const x = onestep::normal<float>(device, {50, 4}, 1), y = onestep::normal<float>(device, {50, 4}, 2);
    CHECK(sliced_wasserstein(x, x).value == 0);
    CHECK(sliced_wasserstein(x, y, {.seed = 1}).value != sliced_wasserstein(x, y, {.seed = 2}).value);
}

TEST_CASE("sliced_wasserstein: what it refuses") {
    cpu device;
    tensor<float, cpu> const x(device, {4, 2}, std::vector<float>(8)), wide(device, {4, 3}, std::vector<float>(12)),
        flat(device, {4, 2, 1}, std::vector<float>(8));
    tensor<float, cpu> const none(device, {0, 2});
    auto poisoned = x;
    poisoned.data()[5] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(sliced_wasserstein(x, wide),
                         "shape_error: sliced_wasserstein: y is [4, 3], its samples are compared with x, which is [n, 2]",
                         onestep::shape_error);
    CHECK_THROWS_AS(sliced_wasserstein(x, flat), onestep::shape_error);
    CHECK_THROWS_WITH_AS(sliced_wasserstein(none, x), "shape_error: sliced_wasserstein: x is [0, 2], at least 1 sample is needed",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(sliced_wasserstein(x, tensor<float, cpu>()),
                         "shape_error: sliced_wasserstein: y is empty, at least 1 sample is needed", onestep::shape_error);
    CHECK_THROWS_WITH_AS(sliced_wasserstein(x, x, {.directions = 0}),
                         "domain_error: sliced_wasserstein: directions is 0, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS(sliced_wasserstein(poisoned, x), doctest::Contains("element 1 of sample 2 of x is"), onestep::not_finite_error);
    CHECK_THROWS_WITH_AS(sliced_wasserstein(x, poisoned), doctest::Contains("element 1 of sample 2 of y is"), onestep::not_finite_error);
    poisoned.data()[5] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_AS(sliced_wasserstein(poisoned, x), onestep::not_finite_error);
}

TEST_CASE("sliced_wasserstein: the report prints itself") {
    CHECK(to_string(onestep::sliced_wasserstein_report{0.25, 4096, 1797, 512, 7}) ==
          "sliced_wasserstein = 0.25 (n = 4096, m = 1797, directions = 512, seed = 7)");
}

}  // namespace sliced_wasserstein_tests
