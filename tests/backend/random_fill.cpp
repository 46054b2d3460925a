#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include <onestep/backend/random_fill.hpp>

#include "test_backend.hpp"

namespace random_fill_tests {

using onestep::draw;
using onestep::index_t;
using onestep::normal;
using onestep::random_key;
using onestep::random_stream;
using onestep::test::backend_type;
using onestep::test::device;

namespace {

template <class T> using tensor = onestep::tensor<T, backend_type>;

/// Box and Muller's formula in double, from the words of the element's quad.
double deviate(random_stream stream, index_t row, index_t col) {
    onestep::quad const q = stream.words(row, static_cast<std::uint64_t>(col / 4));
    std::uint32_t const radius = col % 4 < 2 ? q.x : q.z, phase = col % 4 < 2 ? q.y : q.w;
    double const r = std::sqrt(-2 * std::log((radius + 0.5) / 4294967296.0)), angle = 2 * 3.14159265358979323846 * phase / 4294967296.0;
    return col % 2 == 0 ? r * std::cos(angle) : r * std::sin(angle);
}

struct record_pass {
    std::int32_t* visits;
    std::int32_t* rows;
    ONESTEP_HD void operator()(index_t row, index_t position, float) const {
        visits[position] += 1;
        rows[position] = static_cast<std::int32_t>(row);
    }
};

}  // namespace

TEST_CASE("fill_normal: elements follow Box and Muller's formula") {
    random_stream const stream = random_key{.seed = 5, .step = 3, .first_sample = 1000}.at(draw::user, 2);
    for (index_t cols : {1, 3, 4, 5, 37, 64, 127, 301}) {
        index_t const rows = 29;
        tensor<float> x(device(), {rows, cols});
        fill_normal(x.view(), stream, 1.0);
        std::vector<float> const values = x.to_host();
        double largest = 0;
        for (index_t r = 0; r < rows; ++r)
            for (index_t c = 0; c < cols; ++c)
                largest = std::fmax(largest, std::fabs(double(values[std::size_t(r * cols + c)]) - deviate(stream, r, c)));
        CAPTURE(cols);
        CHECK(largest < 4e-6);
    }
}

TEST_CASE("fill_normal: a sample does not depend on the rows around it") {
    random_key const key{.seed = 11};
    for (index_t cols : {3, 30, 80}) {
        tensor<float> all(device(), {40, cols}), some(device(), {9, cols});
        fill_normal(all.view(), key.at(draw::noise));
        fill_normal(some.view(), key.from_row(17).at(draw::noise));
        CHECK(some.to_host() == to_host(all.view().rows(17, 9)));
    }
}

TEST_CASE("fill_normal: every scalar type draws the same deviates, and the scale multiplies them") {
    random_stream const stream = random_key{4}.at(draw::noise);
    tensor<float> x(device(), {7, 33}), half(device(), {7, 33});
    tensor<double> y(device(), {7, 33});
    fill_normal(x.view(), stream);
    fill_normal(half.view(), stream, 0.5);
    fill_normal(y.view(), stream, 3.0);
    std::vector<float> const a = x.to_host(), b = half.to_host();
    std::vector<double> const c = y.to_host();
    for (std::size_t i = 0; i < a.size(); ++i) {
        REQUIRE(b[i] == 0.5f * a[i]);
        REQUIRE(c[i] == 3.0 * double(a[i]));
    }
}

TEST_CASE("fill_normal: purposes, indices, steps and seeds give other numbers") {
    auto const first = [](random_stream s) {
        tensor<float> x(device(), {1, 4});
        fill_normal(x.view(), s);
        return x.to_host();
    };
    auto const reference = first(random_key{1, 0}.at(draw::noise));
    CHECK(first(random_key{1, 0}.at(draw::noise)) == reference);
    CHECK(first(random_key{1, 0}.at(draw::time)) != reference);
    CHECK(first(random_key{1, 0}.at(draw::noise, 1)) != reference);
    CHECK(first(random_key{1, 1}.at(draw::noise)) != reference);
    CHECK(first(random_key{2, 0}.at(draw::noise)) != reference);
}

TEST_CASE("for_each_normal: every element once, with its row") {
    for (index_t rows : {0, 1, 5, 300})
        for (index_t cols : {0, 1, 6, 63, 64, 65, 1000}) {
            CAPTURE(rows);
            CAPTURE(cols);
            index_t const n = rows * cols;
            std::vector<std::int32_t> expected(static_cast<std::size_t>(n));
            for (index_t i = 0; i < n; ++i) expected[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i / cols);
            tensor<std::int32_t> visits(device(), {n}, std::vector<std::int32_t>(static_cast<std::size_t>(n), 0)), row(device(), {n});
            for_each_normal(device(), random_key{}.at(draw::noise), rows, cols, record_pass{visits.data(), row.data()});
            CHECK(visits.to_host() == std::vector<std::int32_t>(static_cast<std::size_t>(n), 1));
            CHECK(row.to_host() == expected);
        }
}

TEST_CASE("normal: moments are those of the standard normal distribution") {
    std::vector<float> const x = normal<float>(device(), {1000, 1000}, 3).to_host();
    double sum = 0, square = 0, cube = 0, fourth = 0;
    for (float v : x) {
        double const z = v;
        sum += z;
        square += z * z;
        cube += z * z * z;
        fourth += z * z * z * z;
    }
    // Five standard errors, from the variances 1, 2, 15 and 96.
    double const n = double(x.size());
    CHECK(std::fabs(sum / n) < 5 * std::sqrt(1 / n));
    CHECK(std::fabs(square / n - 1) < 5 * std::sqrt(2 / n));
    CHECK(std::fabs(cube / n) < 5 * std::sqrt(15 / n));
    CHECK(std::fabs(fourth / n - 3) < 5 * std::sqrt(96 / n));
}

TEST_CASE("normal: the same bits on every backend and compiler") {
    CHECK(onestep::test::hash(normal<float>(device(), {1023, 37}, 7).to_host()) == 0xb17e87394d900fa4u);
}

}  // namespace random_fill_tests
