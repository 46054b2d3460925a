#include <doctest/doctest.h>
#include <onestep/backend/random_fill.hpp>
#include <onestep/sampler/dynamic_threshold.hpp>

#include <algorithm>
#include <limits>

#include "test_backend.hpp"

namespace onestep::dynamic_threshold_tests {
namespace {

using test::backend_type;
using test::device;

/// The threshold of each row as the library computes it.
template <class T> std::vector<T> thresholds(dynamic_threshold const& limits, index_t n, index_t d, std::vector<T> const& x) {
    tensor<T, backend_type> const values(device(), {n, d}, x);
    tensor<T, backend_type> s(device(), {n});
    auto const memory = device().scratch();
    row_thresholds(limits, values.view(), memory->template take<quantile_search<T>>(n), s.data());
    return s.to_host();
}

/// numpy.quantile(abs(row), q) by sorting, with its linear interpolation.
template <class T> double sorted_quantile(std::vector<T> const& x, std::size_t row, std::size_t d, double q) {
    std::vector<double> sizes;
    for (std::size_t i = row * d; i < (row + 1) * d; ++i) sizes.push_back(std::fabs(static_cast<double>(x[i])));
    std::sort(sizes.begin(), sizes.end());
    double const position = q * static_cast<double>(d - 1), below = std::floor(position);
    auto const k = static_cast<std::size_t>(below);
    return k + 1 < d ? sizes[k] + (position - below) * (sizes[k + 1] - sizes[k]) : sizes[k];
}

template <class T> void check_against_sorting(double tolerance) {
    for (index_t d : {1, 2, 3, 5, 16, 17, 64, 1000}) {
        tensor<T, backend_type> x(device(), {6, d});
        fill_normal(x.view(), random_key{static_cast<std::uint64_t>(d)}.at(draw::user), 4);
        auto values = x.to_host();
        for (std::size_t i = 0; i < values.size(); ++i)
            if (i / static_cast<std::size_t>(d) % 2 == 1) values[i] = std::round(values[i]);  // every other row is full of ties
        for (double q : {1e-9, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995, 1.0}) {
            CAPTURE(d);
            CAPTURE(q);
            auto const s = thresholds<T>({.quantile = q, .ceiling = 5}, 6, d, values);
            for (std::size_t r = 0; r < 6; ++r) {
                double const expected = std::fmin(std::fmax(sorted_quantile(values, r, static_cast<std::size_t>(d), q), 1), 5);
                CHECK(static_cast<double>(s[r]) == doctest::Approx(expected).epsilon(tolerance));
            }
        }
    }
}

TEST_CASE("dynamic_threshold: thresholds are quantiles found by sorting, in single and double precision") {
    check_against_sorting<float>(3e-7);
    check_against_sorting<double>(1e-15);
}

TEST_CASE("dynamic_threshold: quantiles of rows known by heart") {
    // sizes 1, 2, 3, 4, 10: the median is 3, 0.9 lies at 3.6 between 4 and 10
    std::vector<double> const x{-10, 3, 1, -2, 4};
    CHECK(thresholds<double>({.quantile = 0.5}, 1, 5, x)[0] == 3);
    CHECK(thresholds<double>({.quantile = 1}, 1, 5, x)[0] == 10);
    CHECK(thresholds<double>({.quantile = 0.9}, 1, 5, x)[0] == doctest::Approx(7.6).epsilon(1e-15));
    CHECK(thresholds<double>({.quantile = 0.9, .ceiling = 6}, 1, 5, x)[0] == 6);
    CHECK(thresholds<double>({.quantile = 0.9, .ceiling = 1}, 1, 5, x)[0] == 1);
    // at least 1; one element is its own quantile; ties
    CHECK(thresholds<float>({.quantile = 0.995}, 4, 1, {0.25f, -7, 0, -0.0f}) == std::vector<float>{1, 7, 1, 1});
    CHECK(thresholds<float>({.quantile = 0.6}, 2, 4, {2, -2, 2, 2, 0, 0, 3, -3}) == std::vector<float>{2, 3 * (0.6f * 3 - 1)});
    // the whole range of floats
    float const most = std::numeric_limits<float>::max(), infinite = std::numeric_limits<float>::infinity();
    CHECK(thresholds<float>({.quantile = 1}, 2, 2, {1, -most, 2, infinite}) == std::vector<float>{most, infinite});
    CHECK(thresholds<double>({.quantile = 1}, 1, 2, {5e-324, 1e300}) == std::vector<double>{1e300});
}

TEST_CASE("dynamic_threshold: NaN counts as larger than anything and stays in its row") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    auto const s = thresholds<float>({.quantile = 0.5}, 3, 3, {2, -4, 6, 2, nan, 6, nan, -nan, 6});
    CHECK(s[0] == 4);
    CHECK(s[1] == 6);
    CHECK(std::isnan(s[2]));
}

TEST_CASE("dynamic_threshold: a row's threshold does not depend on its batch") {
    auto const x = normal<float>(device(), {70, 37}, 3).to_host();
    dynamic_threshold const limits{.quantile = 0.8};
    auto const whole = thresholds<float>(limits, 70, 37, x);
    for (index_t count : {1, 7, 64}) {
        std::vector<float> const part(x.begin() + 5 * 37, x.begin() + (5 + count) * 37);
        CHECK(thresholds<float>(limits, count, 37, part) == std::vector<float>(whole.begin() + 5, whole.begin() + 5 + count));
    }
}

}  // namespace
}  // namespace onestep::dynamic_threshold_tests
