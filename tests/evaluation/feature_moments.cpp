#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/feature_moments.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "test_backend.hpp"

namespace feature_moments_tests {

using onestep::feature_moments;
using onestep::index_t;
using onestep::moments;
using onestep::tensor;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

/// Both moments as the definition has them, in long double.
moments naive(std::vector<float> const& x, index_t d) {
    auto const n = static_cast<index_t>(x.size()) / d;
    auto const at = [&](index_t r, index_t c) { return static_cast<long double>(x[static_cast<std::size_t>(r * d + c)]); };
    std::vector<long double> mean(static_cast<std::size_t>(d));
    for (index_t c = 0; c < d; ++c)
        for (index_t r = 0; r < n; ++r) mean[static_cast<std::size_t>(c)] += at(r, c) / static_cast<long double>(n);
    moments m{n, {}, {}};
    for (index_t i = 0; i < d; ++i) {
        m.mean.push_back(static_cast<double>(mean[static_cast<std::size_t>(i)]));
        for (index_t j = 0; j < d; ++j) {
            long double sum = 0;
            for (index_t r = 0; r < n; ++r)
                sum += (at(r, i) - mean[static_cast<std::size_t>(i)]) * (at(r, j) - mean[static_cast<std::size_t>(j)]);
            m.covariance.push_back(static_cast<double>(sum / static_cast<long double>(n - 1)));
        }
    }
    return m;
}

}  // namespace

TEST_CASE("feature_moments: three samples by hand") {
    tensor<float, backend_type> const x(device(), {3, 2}, {0, 1, 1, 3, 2, 8});
    moments const m = feature_moments(x);
    CHECK(m.count == 3);
    CHECK(m.mean == std::vector<double>{1, 4});
    std::vector<double> const expected{1, 3.5, 3.5, 13};  // deviations (-1, -3), (0, -1), (1, 4); n - 1 = 2
    for (std::size_t i = 0; i < 4; ++i) CHECK(m.covariance[i] == doctest::Approx(expected[i]).epsilon(1e-15));
    CHECK(feature_moments(x.view()) == m);
    CHECK(feature_moments(x.view().reshaped({3, 1, 2})) == m);
}

TEST_CASE("feature_moments: the definition, for any remainder of the blocks, far from 0") {
    for (index_t n : {2, 5, 17, 300, 4096, 4097, 9000})
        for (index_t d : {1, 3, 20}) {
            if (n > 1000 && d > 3) continue;
            tensor<float, backend_type> x = onestep::normal<float>(device(), {n, d}, static_cast<std::uint64_t>(n));
            auto values = x.to_host();
            for (float& value : values) value = 0.25f * value + 1000;  // |mean| / deviation = 4000: floats of a mean would lose it
            x = tensor<float, backend_type>(device(), {n, d}, values);
            moments const m = feature_moments(x), expected = naive(values, d);
            CAPTURE(n);
            CAPTURE(d);
            CHECK(m.count == n);
            CHECK(onestep::test::relative_difference(m.mean, expected.mean) < 1e-14);
            CHECK(onestep::test::relative_difference(m.covariance, expected.covariance) < 1e-11);
            bool symmetric = true;
            for (index_t i = 0; i < d; ++i)
                for (index_t j = 0; j < d; ++j)
                    symmetric &= m.covariance[static_cast<std::size_t>(i * d + j)] == m.covariance[static_cast<std::size_t>(j * d + i)];
            CHECK(symmetric);
        }
}

TEST_CASE("feature_moments: doubles keep what floats would lose") {
    std::vector<double> const values{1, 1 + 1e-9, 1 - 1e-9, 1};
    moments const m = feature_moments(tensor<double, backend_type>(device(), {4, 1}, values));
    CHECK(m.covariance[0] == doctest::Approx(2e-18 / 3).epsilon(1e-6));
}

TEST_CASE("feature_moments: what it refuses") {
    std::vector<float> values{1, 2, 3, 4, 5, 6};
    CHECK_THROWS_WITH_AS(feature_moments(tensor<float, backend_type>(device(), {1, 6}, values)),
                         "shape_error: feature_moments: x is [1, 6], at least 2 samples are needed", onestep::shape_error);
    CHECK_THROWS_WITH_AS(feature_moments(tensor<float, backend_type>()),
                         "shape_error: feature_moments: x is empty, at least 2 samples are needed", onestep::shape_error);
    CHECK_THROWS_AS(feature_moments(tensor<float, backend_type>(device(), {0, 2})), onestep::shape_error);
    values[4] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(feature_moments(tensor<float, backend_type>(device(), {3, 2}, values)),
                         "not_finite_error: feature_moments: 1 of 6 values are NaN or infinite, all must be finite",
                         onestep::not_finite_error);
    CHECK_THROWS_WITH_AS(feature_moments(tensor<double, backend_type>(device(), {2, 1}, {1e200, -1e200})),
                         doctest::Contains("feature_moments: covariance (0, 0) is inf"), onestep::not_finite_error);
}

}  // namespace feature_moments_tests
