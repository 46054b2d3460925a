#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/frechet.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace frechet_tests {

using onestep::cpu;
using onestep::feature_moments;
using onestep::frechet_distance;
using onestep::index_t;
using onestep::moments;
using onestep::tensor;

namespace {

/// The samples of tests/golden/evaluation/make_features.py.
std::vector<double> recurrence(index_t count, std::uint32_t state) {
    std::vector<double> values;
    for (index_t i = 0; i < count; ++i) {
        state = (state * 1103515245u + 12345u) & 0x7fffffffu;
        values.push_back((state >> 16) % 1024 / 256.0 - 2);
    }
    return values;
}

struct golden {
    index_t n, m, d;
    double means, covariances;
};
constexpr golden goldens[] = {
#include "../golden/evaluation/frechet.inc"
};

/// Moments with a diagonal covariance.
moments diagonal(std::vector<double> const& mean, std::vector<double> const& variances) {
    std::size_t const d = mean.size();
    moments m{1000, mean, std::vector<double>(d * d)};
    for (std::size_t i = 0; i < d; ++i) m.covariance[i * d + i] = variances[i];
    return m;
}

/// Rows in the plane (i, j) turned by an angle.
template <class T> void turn(std::vector<T>& x, std::size_t d, std::size_t i, std::size_t j, double angle) {
    for (std::size_t r = 0; r < x.size(); r += d) {
        auto const a = static_cast<double>(x[r + i]), b = static_cast<double>(x[r + j]);
        x[r + i] = static_cast<T>(std::cos(angle) * a - std::sin(angle) * b);
        x[r + j] = static_cast<T>(std::sin(angle) * a + std::cos(angle) * b);
    }
}

}  // namespace

TEST_CASE("frechet_distance: agrees with SciPy, fewer samples than elements too") {
    cpu device;
    for (golden const& g : goldens) {
        auto const raw = recurrence(g.n * g.d, 1);
        auto x = raw, y = recurrence(g.m * g.d, 2);
        for (index_t i = 0; i < g.n * g.d; ++i) {
            index_t const before = i % g.d > 0 ? i - 1 : i + g.d - 1;
            x[static_cast<std::size_t>(i)] += 0.5 * raw[static_cast<std::size_t>(before)];
        }
        for (double& value : y) value = value * 0.5 + 0.25;
        tensor<double, cpu> const of_x(device, {g.n, g.d}, x), of_y(device, {g.m, g.d}, y);
        auto const report = frechet_distance(of_x, of_y);
        CAPTURE(g.n);
        CAPTURE(g.d);
        CHECK(report.means == doctest::Approx(g.means).epsilon(1e-12));
        CHECK(std::fabs(report.covariances - g.covariances) < (std::min(g.n, g.m) > g.d ? 1e-10 : 1e-7) * g.covariances);
        CHECK(report.value == report.means + report.covariances);
        CHECK(report.n == g.n);
        CHECK(report.m == g.m);
        CHECK(frechet_distance(of_y, of_x).value == doctest::Approx(report.value).epsilon(1e-9));
    }
}

TEST_CASE("frechet_distance: covariances that commute have a closed form") {
    // |shift|^2 + sum of (deviation - deviation')^2.
    auto const a = diagonal({0, 1, 2}, {4, 9, 1e-12}), b = diagonal({3, 1, -2}, {1, 25, 0.25});
    auto const report = frechet_distance(a, b);
    CHECK(report.means == 25);
    CHECK(report.covariances == doctest::Approx(1 + 4 + (0.5 - 1e-6) * (0.5 - 1e-6)).epsilon(1e-12));
    CHECK(frechet_distance(a, diagonal({0, 1, 2}, {0, 0, 0})).value == doctest::Approx(13).epsilon(1e-12));
    CHECK(frechet_distance(diagonal({1}, {0}), diagonal({3}, {0})).value == 4);
    // Scales of features are no matter.
    for (double scale : {1e-60, 1e60})
        CHECK(frechet_distance(diagonal({0, 0}, {4 * scale, 9 * scale}), diagonal({0, 0}, {1 * scale, 1 * scale})).value ==
              doctest::Approx(5 * scale).epsilon(1e-12));
}

TEST_CASE("frechet_distance: covariances that do not commute, in two dimensions") {
    // tr (A B)^(1/2) = sqrt( tr A B + 2 sqrt(det A det B) ) for 2 x 2.
    moments const a{9, {0, 0}, {2, 0.5, 0.5, 1}}, b{9, {0, 0}, {1, -0.75, -0.75, 3}};
    double const trace = 2 * 1 + 2 * 0.5 * -0.75 + 1 * 3, determinants = (2 - 0.25) * (3 - 0.5625);
    CHECK(frechet_distance(a, b).value == doctest::Approx(7 - 2 * std::sqrt(trace + 2 * std::sqrt(determinants))).epsilon(1e-13));
}

TEST_CASE("frechet_distance: a set is at distance 0 from itself, and a shift by c costs |c|^2") {
    cpu device;
    for (index_t n : {10, 40, 500}) {
        auto const x = onestep::normal<float>(device, {n, 24}, 1);
        CAPTURE(n);
        CHECK(frechet_distance(x, x.view()).value < 1e-9);
        auto values = x.to_host();
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::round(values[i] * 1024) / 1024;
        tensor<float, cpu> const from(device, {n, 24}, values);
        for (std::size_t i = 0; i < values.size(); ++i) values[i] += static_cast<float>(i % 24) / 4;  // exact in float
        double const squares = 23 * 24 * 47 / 6 / 16.0;
        auto const report = frechet_distance(from, tensor<float, cpu>(device, {n, 24}, values));
        CHECK(report.means == doctest::Approx(squares).epsilon(1e-12));
        CHECK(report.covariances < 1e-9);
    }
}

TEST_CASE("frechet_distance: rotations, the order of rows and the order of the sets change nothing") {
    cpu device;
    index_t const n = 60, m = 45, d = 6;
    auto x = recurrence(n * d, 3), y = recurrence(m * d, 4);
    for (double& value : y) value = value * value;
    auto const distance = [&] {
        return frechet_distance(tensor<double, cpu>(device, {n, d}, x), tensor<double, cpu>(device, {m, d}, y)).value;
    };
    double const value = distance();
    CHECK(value > 1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(d); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            turn(x, static_cast<std::size_t>(d), i, j, 1.0 + static_cast<double>(i + 2 * j));
            turn(y, static_cast<std::size_t>(d), i, j, 1.0 + static_cast<double>(i + 2 * j));
        }
    CHECK(distance() == doctest::Approx(value).epsilon(1e-12));
    for (std::size_t i = 0; i < static_cast<std::size_t>(d); ++i) std::swap(x[i], x[static_cast<std::size_t>((n - 1) * d) + i]);
    CHECK(distance() == doctest::Approx(value).epsilon(1e-12));
    std::swap(x, y);
    auto const swapped = frechet_distance(tensor<double, cpu>(device, {m, d}, x), tensor<double, cpu>(device, {n, d}, y)).value;
    CHECK(swapped == doctest::Approx(value).epsilon(1e-12));
}

TEST_CASE("frechet_distance: features that never change, and copies of one another, do no harm") {
    cpu device;
    index_t const n = 80;
    auto const plain = recurrence(n * 3, 5), other = recurrence(n * 3, 6);
    auto const wide = [&](std::vector<double> const& values) {
        std::vector<double> all;
        for (std::size_t r = 0; r < values.size(); r += 3)
            for (double value : {values[r], 7.0, values[r + 1], 0.0, values[r + 2], 0.0, 0.0}) all.push_back(value);
        return tensor<double, cpu>(device, {n, 7}, all);
    };
    double const expected = frechet_distance(tensor<double, cpu>(device, {n, 3}, plain), tensor<double, cpu>(device, {n, 3}, other));
    CHECK(frechet_distance(wide(plain), wide(other)).value == doctest::Approx(expected).epsilon(1e-7));

    // Every feature twice: both the means' and the covariances' part double.
    auto const twice = [&](std::vector<double> const& values) {
        std::vector<double> all;
        for (double value : values) all.insert(all.end(), 2, value);
        return tensor<double, cpu>(device, {n, 6}, all);
    };
    CHECK(std::fabs(frechet_distance(twice(plain), twice(other)).value - 2 * expected) < 1e-6);
    CHECK(frechet_distance(twice(plain), twice(plain)).value < 1e-6);
}

TEST_CASE("frechet_distance: two sets of one normal distribution are tr S (d + 5) / (2 n) apart") {
    cpu device;
    index_t const d = 8;
    for (index_t n : {500, 1000}) {
        double mean = 0;
        int const pairs = 40;
        for (std::uint64_t i = 0; i < pairs; ++i)
            mean += frechet_distance(onestep::normal<float>(device, {n, d}, 2 * i + 1), onestep::normal<float>(device, {n, d}, 2 * i + 2)) /
                    pairs;
        double const expected = static_cast<double>(d * (d + 5)) / (2 * static_cast<double>(n));
        CAPTURE(n);
        CHECK(mean == doctest::Approx(expected).epsilon(0.1));
    }
}

TEST_CASE("frechet_distance: moments that were kept") {
    cpu device;
    auto const x = onestep::normal<float>(device, {90, 5}, 1), y = onestep::normal<float>(device, {70, 5}, 2);
    moments const kept = feature_moments(x);
    CHECK(frechet_distance(kept, feature_moments(y)).value == frechet_distance(x, y).value);
    auto const images = onestep::normal<float>(device, {70, 5, 1}, 2);
    CHECK(frechet_distance(kept, feature_moments(images)).value == frechet_distance(x, y).value);
}

TEST_CASE("frechet_distance: moments have the same bits for any number of threads") {
    cpu one(1), two(2), three(3);
    auto const of = [](cpu& device) { return feature_moments(onestep::normal<float>(device, {4500, 40}, 1)); };
    moments const m = of(one);
    CHECK(of(two) == m);
    CHECK(of(three) == m);
}

TEST_CASE("frechet_distance: what it refuses") {
    cpu device;
    tensor<float, cpu> const x(device, {4, 2}, std::vector<float>(8)), wide(device, {4, 3}, std::vector<float>(12)),
        one(device, {1, 2}, std::vector<float>(2));
    CHECK_THROWS_WITH_AS(frechet_distance(x, wide),
                         "shape_error: frechet_distance: y is [4, 3], its samples are compared with x, which is [n, 2]",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(frechet_distance(x, one), "shape_error: frechet_distance: y is [1, 2], at least 2 samples are needed",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(frechet_distance(tensor<float, cpu>(), x),
                         "shape_error: frechet_distance: x is empty, at least 2 samples are needed", onestep::shape_error);
    auto poisoned = x;
    poisoned.data()[5] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_AS(frechet_distance(x, poisoned), onestep::not_finite_error);

    moments const a = feature_moments(x), b = feature_moments(wide);
    CHECK_THROWS_WITH_AS(frechet_distance(a, b), "shape_error: frechet_distance: y has 3 features, it is compared with x, which has 2",
                         onestep::shape_error);
    moments broken = a;
    broken.covariance.pop_back();
    CHECK_THROWS_WITH_AS(frechet_distance(a, broken),
                         "shape_error: frechet_distance: y has 2 means and 3 covariances, d and d^2 are needed, d >= 1",
                         onestep::shape_error);
    broken = a;
    broken.count = 1;
    CHECK_THROWS_WITH_AS(frechet_distance(broken, a), "shape_error: frechet_distance: x was computed from 1 samples, at least 2 are needed",
                         onestep::shape_error);
    broken = a;
    broken.mean[1] = std::numeric_limits<double>::infinity();
    CHECK_THROWS_WITH_AS(frechet_distance(a, broken), "not_finite_error: frechet_distance: a moment of y is inf, all must be finite",
                         onestep::not_finite_error);
    CHECK_THROWS_AS(frechet_distance(a, moments{}), onestep::shape_error);
    CHECK_THROWS_WITH_AS(frechet_distance(diagonal({1e200}, {1}), diagonal({-1e200}, {1})), doctest::Contains("the distance is inf"),
                         onestep::not_finite_error);
}

TEST_CASE("frechet_distance: the report prints itself") {
    CHECK(to_string(onestep::frechet_report{0.75, 0.25, 0.5, 4096, 1797}) ==
          "frechet_distance = 0.75 (means = 0.25, covariances = 0.5, n = 4096, m = 1797)");
}

}  // namespace frechet_tests
