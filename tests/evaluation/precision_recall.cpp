#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/precision_recall.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "test_backend.hpp"

namespace precision_recall_tests {

using onestep::index_t;
using onestep::precision_recall;
using onestep::precision_recall_report;
using onestep::tensor;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

/// The samples of tests/golden/evaluation/make_features.py.
std::vector<double> recurrence(index_t count, std::uint32_t state, std::uint32_t levels = 1024, double scale = 1) {
    std::vector<double> values;
    for (index_t i = 0; i < count; ++i) {
        state = (state * 1103515245u + 12345u) & 0x7fffffffu;
        values.push_back(((state >> 16) % levels / 256.0 - 2) * scale);
    }
    return values;
}

struct golden {
    index_t n, m, d;
    int k;
    std::uint32_t levels;
    index_t precise, recalled, inside, covered;
};
constexpr golden goldens[] = {
#include "../golden/evaluation/precision_recall.inc"
};

template <class T> tensor<T, backend_type> placed(index_t n, std::vector<double> const& values) {
    return {device(), {n, static_cast<index_t>(values.size()) / n}, std::vector<T>(values.begin(), values.end())};
}

/// The definition: every pair, by the sum of squared differences.
precision_recall_report naive(std::vector<double> const& real, std::vector<double> const& generated, index_t d, int k) {
    auto const square = [d](double const* x, double const* y) {
        double sum = 0;
        for (index_t e = 0; e < d; ++e) sum = std::fma(x[e] - y[e], x[e] - y[e], sum);
        return sum;
    };
    auto const row = [d](std::vector<double> const& x, index_t r) { return x.data() + r * d; };
    auto const radii = [&](std::vector<double> const& x) {
        std::vector<double> found;
        auto const n = static_cast<index_t>(x.size()) / d;
        for (index_t i = 0; i < n; ++i) {
            std::vector<double> squares;
            for (index_t j = 0; j < n; ++j)
                if (j != i) squares.push_back(square(row(x, i), row(x, j)));
            std::sort(squares.begin(), squares.end());
            found.push_back(squares[static_cast<std::size_t>(k - 1)]);
        }
        return found;
    };
    auto const n = static_cast<index_t>(real.size()) / d, m = static_cast<index_t>(generated.size()) / d;
    auto const of_real = radii(real), of_generated = radii(generated);
    std::vector<int> precise(of_generated.size()), recalled(of_real.size()), covered(of_real.size());
    double inside = 0;
    for (std::size_t i = 0; i < of_real.size(); ++i)
        for (std::size_t j = 0; j < of_generated.size(); ++j) {
            double const s = square(row(real, static_cast<index_t>(i)), row(generated, static_cast<index_t>(j)));
            if (s <= of_real[i]) precise[j] = covered[i] = 1, ++inside;
            if (s <= of_generated[j]) recalled[i] = 1;
        }
    auto const share = [](std::vector<int> const& flags) {
        return static_cast<double>(std::count(flags.begin(), flags.end(), 1)) / static_cast<double>(flags.size());
    };
    return {share(precise), share(recalled), inside / (static_cast<double>(k) * static_cast<double>(m)), share(covered), n, m, k};
}

void check_equal(precision_recall_report const& a, precision_recall_report const& b) {
    CHECK(a.precision == b.precision);
    CHECK(a.recall == b.recall);
    CHECK(a.density == b.density);
    CHECK(a.coverage == b.coverage);
    CHECK(a.n == b.n);
    CHECK(a.m == b.m);
    CHECK(a.k == b.k);
}

}  // namespace

TEST_CASE("precision_recall: agrees with NumPy, ties too") {
    for (golden const& g : goldens) {
        auto const real = recurrence(g.n * g.d, 1, g.levels), generated = recurrence(g.m * g.d, 2, g.levels, g.levels == 1024 ? 0.75 : 1);
        auto const n = static_cast<double>(g.n), m = static_cast<double>(g.m);
        CAPTURE(g.n);
        CAPTURE(g.d);
        auto const check = [&](precision_recall_report const& report) {
            CHECK(report.precision == static_cast<double>(g.precise) / m);
            CHECK(report.recall == static_cast<double>(g.recalled) / n);
            CHECK(report.density == static_cast<double>(g.inside) / (static_cast<double>(g.k) * m));
            CHECK(report.coverage == static_cast<double>(g.covered) / n);
        };
        check(precision_recall(placed<double>(g.n, real), placed<double>(g.m, generated), g.k));
        check(precision_recall(placed<float>(g.n, real), placed<float>(g.m, generated), g.k));
    }
}

TEST_CASE("precision_recall: on a line, by hand") {
    // k = 1. Real balls: 0 reaches 1, 1 reaches 1, 10 reaches 9. Generated balls: 2 reaches 1, 3 reaches 1, 100 reaches 97.
    tensor<float, backend_type> const real(device(), {3, 1}, {0, 1, 10}), generated(device(), {3, 1}, {2, 3, 100});
    auto const report = precision_recall(real, generated.view(), 1);
    CHECK(report.precision == 2 / 3.0);  // 2 lies on the border of 1's ball and in 10's, 3 in 10's
    CHECK(report.recall == 2 / 3.0);     // 1 lies on the border of 2's ball, 10 in 100's, 0 in none
    CHECK(report.density == 1);          // 2 + 1 + 0 balls around three samples
    CHECK(report.coverage == 2 / 3.0);   // nothing in 0's ball
    CHECK(report.n == 3);
    CHECK(report.m == 3);
    CHECK(report.k == 1);
}

TEST_CASE("precision_recall: a set and itself, and sets far from each other") {
    auto const x = onestep::normal<float>(device(), {1100, 7}, 1);
    for (int k : {1, 3, 10}) {
        auto const same = precision_recall(x, x, k);
        CHECK(same.precision == 1);
        CHECK(same.recall == 1);
        CHECK(same.coverage == 1);
        CHECK(same.density == doctest::Approx(1 + 1.0 / k).epsilon(1e-12));  // each ball holds its own sample and k more
    }
    auto values = x.to_host();
    for (float& value : values) value += 100;
    auto const apart = precision_recall(x, tensor<float, backend_type>(device(), {1100, 7}, values));
    CHECK(apart.precision == 0);
    CHECK(apart.recall == 0);
    CHECK(apart.density == 0);
    CHECK(apart.coverage == 0);
}

TEST_CASE("precision_recall: the definition, exactly, wherever products lose all digits") {
    // Clusters of spread 1e-9 at distance 1000 from each other: squared distances of 1e-18 against squares of 1e6.
    for (double spread : {1.0, 1e-4, 1e-9, 0.0})
        for (int k : {1, 3}) {
            index_t const n = 90, m = 70, d = 3;
            auto real = recurrence(n * d, 7), generated = recurrence(m * d, 8);
            for (std::size_t i = 0; i < real.size(); ++i) real[i] = real[i] * spread + (i / 3 % 5 == 0 ? 1000 : -1);
            for (std::size_t i = 0; i < generated.size(); ++i) generated[i] = generated[i] * spread + (i / 3 % 4 == 0 ? 1000 : -1);
            CAPTURE(spread);
            CAPTURE(k);
            auto const expected = naive(real, generated, d, k);
            check_equal(precision_recall(placed<double>(n, real), placed<double>(m, generated), k), expected);
            CHECK(expected.precision > (spread > 0 ? 0.5 : 0.99));
        }
}

TEST_CASE("precision_recall: copies of real samples lie on borders") {
    // Every third generated sample is a copy of a real one: it is some other samples' k-th neighbour, to the last bit.
    index_t const n = 200, d = 12;
    auto const real_tensor = onestep::normal<float>(device(), {n, d}, 1);
    auto const real = real_tensor.to_host();
    auto generated = onestep::normal<float>(device(), {n, d}, 2).to_host();
    for (std::size_t i = 0; i < generated.size(); ++i)
        if (i / static_cast<std::size_t>(d) % 3 == 0) generated[i] = real[real.size() - generated.size() + i];
    std::vector<double> const of_real(real.begin(), real.end()), of_generated(generated.begin(), generated.end());
    check_equal(precision_recall(real_tensor, tensor<float, backend_type>(device(), {n, d}, generated)),
                naive(of_real, of_generated, d, 3));
}

TEST_CASE("precision_recall: all generated samples in one point") {
    // Balls of radius 0 hold nothing but copies of that point.
    auto const real = onestep::normal<float>(device(), {300, 4}, 1);
    auto const host = real.to_host();
    std::vector<float> collapsed;
    for (int i = 0; i < 50; ++i) collapsed.insert(collapsed.end(), host.begin() + 40, host.begin() + 44);
    auto const report = precision_recall(real, tensor<float, backend_type>(device(), {50, 4}, collapsed));
    CHECK(report.precision == 1);
    CHECK(report.recall == 1 / 300.0);
    CHECK(report.coverage < 0.1);
    collapsed.assign(collapsed.size(), 0.125f);
    CHECK(precision_recall(real, tensor<float, backend_type>(device(), {50, 4}, collapsed)).recall == 0);
}

TEST_CASE("precision_recall: exchanging the sets exchanges precision and recall") {
    auto const x = onestep::normal<float>(device(), {150, 5}, 1);
    auto y_values = onestep::normal<float>(device(), {130, 5}, 2).to_host();
    for (float& value : y_values) value *= 0.6f;
    tensor<float, backend_type> const y(device(), {130, 5}, y_values);
    auto const forth = precision_recall(x, y), back = precision_recall(y, x);
    CHECK(forth.precision == back.recall);
    CHECK(forth.recall == back.precision);
    CHECK(forth.precision > forth.recall);  // a narrow copy is precise and misses the tails
}

TEST_CASE("precision_recall: the order of rows, a turn by 90 degrees, powers of two and a sample's shape change nothing") {
    index_t const n = 160, m = 140, d = 4;
    auto const x = onestep::normal<float>(device(), {n, d}, 1), y = onestep::normal<float>(device(), {m, d}, 2);
    auto const expected = precision_recall(x, y, 4);
    auto changed_x = x.to_host(), changed_y = y.to_host();
    for (auto* values : {&changed_x, &changed_y}) {
        std::reverse(values->begin(), values->end());  // rows, and elements within each
        for (std::size_t i = 0; i < values->size(); i += 4) {
            std::swap((*values)[i], (*values)[i + 1]);
            (*values)[i] = -(*values)[i];
        }
        for (float& value : *values) value *= 0.25f;
    }
    tensor<float, backend_type> const turned_x(device(), {n, 2, 2}, changed_x), turned_y(device(), {m, 2, 2}, changed_y);
    check_equal(precision_recall(turned_x, turned_y, 4), expected);
}

TEST_CASE("precision_recall: equal distributions have density near 1, and near the expected coverage") {
    // Naeem et al. 2020: E[coverage] = 1 - (n - 1) .. (n - k) / ((2 n - 1) .. (2 n - k)) for n = m.
    index_t const n = 1500;
    double const whole = static_cast<double>(n);
    auto const report = precision_recall(onestep::normal<float>(device(), {n, 6}, 3), onestep::normal<float>(device(), {n, 6}, 4), 5);
    double missed = 1;
    for (int i = 1; i <= 5; ++i) missed *= (whole - i) / (2 * whole - i);
    CHECK(report.coverage == doctest::Approx(1 - missed).epsilon(0.015));
    CHECK(report.density == doctest::Approx(1).epsilon(0.05));
    CHECK(std::fabs(report.precision - report.recall) < 0.05);
}

TEST_CASE("precision_recall: an outlier's ball, which density sees through") {
    // Real samples near 0 and one at 50; generated ones at distance 5 to 9: far from all but inside of the outlier's ball.
    auto values = onestep::normal<float>(device(), {100, 2}, 1).to_host();
    values[0] = 50;
    std::vector<float> odd;
    for (int i = 0; i < 50; ++i) {
        odd.push_back(5 + 0.08f * static_cast<float>(i));
        odd.push_back(0);
    }
    auto const report =
        precision_recall(tensor<float, backend_type>(device(), {100, 2}, values), tensor<float, backend_type>(device(), {50, 2}, odd));
    CHECK(report.precision > 0.9);
    CHECK(report.density < 0.4);
    CHECK(report.coverage < 0.1);
}

TEST_CASE("precision_recall: what it refuses") {
    using set = tensor<float, backend_type>;
    set const x(device(), {5, 2}, std::vector<float>(10)), wide(device(), {5, 3}, std::vector<float>(15)),
        few(device(), {3, 2}, std::vector<float>(6));
    CHECK_THROWS_WITH_AS(precision_recall(x, wide),
                         "shape_error: precision_recall: generated is [5, 3], its samples are compared with real, which is [n, 2]",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(precision_recall(x, few), "shape_error: precision_recall: generated is [3, 2], more than k = 3 samples are needed",
                         onestep::shape_error);
    CHECK_NOTHROW(precision_recall(x, few, 2));
    CHECK_THROWS_WITH_AS(precision_recall(set(), x), "shape_error: precision_recall: real is empty, more than k = 3 samples are needed",
                         onestep::shape_error);
    CHECK_THROWS_WITH_AS(precision_recall(x, x, 0), "domain_error: precision_recall: k is 0, at least 1 neighbour is needed",
                         onestep::domain_error);
    std::vector<float> poisoned(10);
    poisoned[3] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(precision_recall(x, set(device(), {5, 2}, poisoned)),
                         "not_finite_error: precision_recall: generated: 1 of 10 values are NaN or infinite, all must be finite",
                         onestep::not_finite_error);
    poisoned[3] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_AS(precision_recall(set(device(), {5, 2}, poisoned), x), onestep::not_finite_error);
    tensor<double, backend_type> const huge(device(), {4, 1}, {0, 0, 0, 1e160});
    CHECK_THROWS_WITH_AS(precision_recall(huge, huge, 1),
                         doctest::Contains("precision_recall: real has a squared distance of inf from the mean"),
                         onestep::not_finite_error);
}

TEST_CASE("precision_recall: the report prints itself") {
    CHECK(to_string(precision_recall_report{0.75, 0.5, 1.25, 0.875, 4096, 1797, 3}) ==
          "precision = 0.75, recall = 0.5, density = 1.25, coverage = 0.875 (n = 4096, m = 1797, k = 3)");
}

}  // namespace precision_recall_tests
