#include <doctest/doctest.h>
#include <onestep/backend/random_fill.hpp>
#include <onestep/backend/spherical.hpp>

#include "test_backend.hpp"

namespace onestep::spherical_tests {
namespace {

using test::backend_type;
using test::device;

template <class T> tensor<T, backend_type> values(index_t n, index_t d, std::vector<T> const& host) { return {device(), {n, d}, host}; }

template <class T> double length(std::vector<T> const& x, std::size_t row, std::size_t d) {
    double square = 0;
    for (std::size_t i = row * d; i < (row + 1) * d; ++i) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return std::sqrt(square);
}

TEST_CASE("spherical: points of a quarter and a sixth of a circle") {
    double const root = std::sqrt(0.75);
    auto const a = values<double>(3, 2, {1, 0, 1, 0, 0, 3}), b = values<double>(3, 2, {0, 1, 0.5, root, 0, 5});
    for (double f : {0.0, 0.125, 0.5, 0.75, 1.0}) {
        CAPTURE(f);
        auto const x = spherical(a, b, f).to_host();
        double const quarter = f * std::acos(0.0), sixth = f * std::acos(0.5);
        CHECK(x[0] == doctest::Approx(std::cos(quarter)).epsilon(1e-14));
        CHECK(x[1] == doctest::Approx(std::sin(quarter)).epsilon(1e-14));
        CHECK(x[2] == doctest::Approx(std::cos(sixth)).epsilon(1e-14));
        CHECK(x[3] == doctest::Approx(std::sin(sixth)).epsilon(1e-14));
        CHECK(x[4] == 0);  // parallel: a straight line
        CHECK(x[5] == doctest::Approx(3 + 2 * f).epsilon(1e-14));
    }
}

TEST_CASE("spherical: ends are the given samples, bit for bit") {
    auto const a = normal<float>(device(), {4, 33}, 1), b = normal<float>(device(), {4, 33}, 2);
    CHECK(spherical(a, b, 0).to_host() == a.to_host());
    CHECK(spherical(a, b, 1).to_host() == b.to_host());
}

TEST_CASE("spherical: on the way noise keeps its length, which a straight line does not") {
    std::size_t const d = 3072;
    auto const a = normal<float>(device(), {3, 3072}, 1), b = normal<float>(device(), {3, 3072}, 2);
    auto const x = spherical(a, b, 0.5).to_host(), ah = a.to_host(), bh = b.to_host();
    for (std::size_t r = 0; r < 3; ++r) {
        // lengths of N(0, 1) in d dimensions are sqrt(d) (1 +- 0.013), angles 90 degrees +- 1
        CHECK(length(x, r, d) == doctest::Approx(std::sqrt(3072.0)).epsilon(0.06));
        std::vector<double> line;
        double product = 0;
        for (std::size_t i = r * d; i < (r + 1) * d; ++i) {
            line.push_back(0.5 * (static_cast<double>(ah[i]) + static_cast<double>(bh[i])));
            product += static_cast<double>(ah[i]) * static_cast<double>(bh[i]);
        }
        CHECK(length(line, 0, d) < 0.8 * std::sqrt(3072.0));
        // half way both weights are sin(angle / 2) / sin(angle)
        double const angle = std::acos(product / (length(ah, r, d) * length(bh, r, d))), weight = std::sin(angle / 2) / std::sin(angle);
        for (std::size_t i = 0; i < d; i += 97)
            CHECK(static_cast<double>(x[r * d + i]) == doctest::Approx(2 * weight * line[i]).epsilon(1e-5).scale(1));
    }
}

TEST_CASE("spherical: parallel, opposite and zero samples are joined by a straight line") {
    auto const a = values<double>(3, 2, {1, 2, 1, 2, 0, 0}), b = values<double>(3, 2, {2, 4, -1, -2, 3, 1});
    auto const x = spherical(a, b, 0.25).to_host();
    std::vector<double> const expected{1.25, 2.5, 0.5, 1, 0.75, 0.25};
    for (std::size_t i = 0; i < 6; ++i) CHECK(x[i] == doctest::Approx(expected[i]).epsilon(1e-15));
}

TEST_CASE("spherical: a row does not depend on its batch, and out may be an input") {
    auto const a = normal<float>(device(), {70, 33}, 1), b = normal<float>(device(), {70, 33}, 2);
    auto const whole = spherical(a, b, 0.3).to_host();
    for (index_t count : {1, 7, 64}) {
        tensor<float, backend_type> part(device(), {count, 33});
        spherical(a.view().rows(5, count), b.view().rows(5, count), 0.3, part.view());
        CHECK(part.to_host() == std::vector<float>(whole.begin() + 5 * 33, whole.begin() + (5 + count) * 33));
    }
    tensor<float, backend_type> over_a = a, over_b = b;
    spherical(over_a, b, 0.3, over_a.view());
    spherical(a, over_b, 0.3, over_b.view());
    CHECK(over_a.to_host() == whole);
    CHECK(over_b.to_host() == whole);
}

TEST_CASE("spherical: refuses other shapes and fractions") {
    auto const a = values<float>(1, 2, {1, 2}), b = values<float>(2, 1, {1, 2});
    tensor<float, backend_type> out(device(), {1, 2});
    CHECK_THROWS_WITH_AS(spherical(a, b, 0.5, out.view()), "shape_error: spherical: b is [2, 1], it must be [1, 2]", shape_error);
    CHECK_THROWS_WITH_AS(spherical(b, b, 0.5, out.view()), "shape_error: spherical: out is [1, 2], it must be [2, 1]", shape_error);
    CHECK_THROWS_WITH_AS(spherical(a, a, 1.5), "domain_error: spherical: the fraction is 1.5, it must be in [0, 1]", domain_error);
    CHECK_THROWS_AS(spherical(a, a, std::nan("")), domain_error);
}

}  // namespace
}  // namespace onestep::spherical_tests
