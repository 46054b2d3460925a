#include <doctest/doctest.h>
#include <onestep/network/layer/dropout.hpp>

#include <cmath>
#include <limits>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::dropout_tests {
namespace {

using test::backend_type;
using test::device;

random_stream stream(std::uint64_t first_sample = 0) { return random_key{5, 7, first_sample}.at(draw::dropout); }

template <class T> std::vector<T> dropped(double p, random_stream s, index_t n, index_t cols, std::vector<T> const& x) {
    tensor<T, backend_type> on_device(device(), {1, static_cast<index_t>(x.size())}, x);
    layer::dropout<T, backend_type>(p).apply(device(), s, n, cols, on_device.data());
    return on_device.to_host();
}
template <class T> std::vector<T> ones(index_t count) { return std::vector<T>(static_cast<std::size_t>(count), T(1)); }

TEST_CASE_TEMPLATE("dropout: an element's word decides, by its row and its place in the row", T, float, double) {
    for (double p : {0.1, 0.5, 0.9})
        for (index_t cols : {1, 2, 3, 4, 5, 63, 64, 65, 200})
            for (index_t n : {1, 3, 21}) {
                CAPTURE(p);
                CAPTURE(cols);
                CAPTURE(n);
                auto const x = test::normals<T>(n * cols + 2, 1);
                auto const y = dropped(p, stream(100), n, cols, x);
                index_t wrong = 0;
                for (index_t r = 0; r < n; ++r)
                    for (index_t c = 0; c < cols; ++c) {
                        quad const q = stream(100).words(r, static_cast<std::uint64_t>(c / 4));
                        std::uint32_t const words[] = {q.x, q.y, q.z, q.w};
                        auto const i = static_cast<std::size_t>(r * cols + c);
                        T const expected = words[c % 4] < std::round(p * 4294967296.0) ? T(0) : x[i] * static_cast<T>(1 / (1 - p));
                        wrong += y[i] != expected;
                    }
                CHECK(wrong == 0);
                CHECK(y[y.size() - 2] == x[x.size() - 2]);
                CHECK(y.back() == x.back());
            }
}

TEST_CASE("dropout: elements fall at the given rate, and the mean stays") {
    index_t const n = 64, cols = 16384;
    double const count = static_cast<double>(n * cols);
    for (double p : {0.001, 0.1, 0.5, 0.75, 0.99}) {
        CAPTURE(p);
        auto const y = dropped(p, stream(), n, cols, ones<double>(n * cols));
        double zeros = 0, sum = 0;
        for (double v : y) {
            zeros += v == 0;
            sum += v;
        }
        double const deviation = std::sqrt(p * (1 - p) * count);
        CHECK(std::fabs(zeros - p * count) < 5 * deviation);
        CHECK(std::fabs(sum - count) < 5 * deviation / (1 - p));
    }
}

TEST_CASE("dropout: neighbours, rows and streams are independent") {
    index_t const n = 256, cols = 1024;
    auto const y = dropped(0.5, stream(), n, cols, ones<double>(n * cols));
    auto const other = dropped(0.5, random_key{5, 8}.at(draw::dropout), n, cols, ones<double>(n * cols));
    double const pairs = static_cast<double>(n * cols), bound = 5 * std::sqrt(pairs);
    for (std::size_t distance : {1, 2, 3, 4, 64, 1024}) {
        double product = 0;
        for (std::size_t i = 0; i + distance < y.size(); ++i) product += (y[i] - 1) * (y[i + distance] - 1);
        CHECK(std::fabs(product) < bound);
    }
    double product = 0;
    for (std::size_t i = 0; i < y.size(); ++i) product += (y[i] - 1) * (other[i] - 1);
    CHECK(std::fabs(product) < bound);
}

TEST_CASE("dropout: a row has the same mask alone and in a batch") {
    for (index_t cols : {1, 3, 4, 6, 70, 1000}) {
        CAPTURE(cols);
        auto const x = test::normals<float>(40 * cols, 2);
        auto const whole = dropped(0.3, stream(10), 40, cols, x);
        for (index_t row : {0, 1, 17, 39}) {
            std::vector<float> const alone(x.begin() + row * cols, x.begin() + (row + 1) * cols);
            CHECK(dropped(0.3, stream(10 + static_cast<std::uint64_t>(row)), 1, cols, alone) ==
                  std::vector<float>(whole.begin() + row * cols, whole.begin() + (row + 1) * cols));
        }
    }
}

TEST_CASE("dropout: it is its own transpose, and kept elements are kept again") {
    auto const x = test::normals<double>(600, 3), v = test::normals<double>(600, 4);
    CHECK(test::dot(v, dropped(0.4, stream(), 6, 100, x)) ==
          doctest::Approx(test::dot(dropped(0.4, stream(), 6, 100, v), x)).epsilon(1e-13));
    auto const once = dropped(0.5, stream(), 6, 100, x), twice = dropped(0.5, stream(), 6, 100, once);
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(twice[i] == 2 * once[i]);
}

TEST_CASE("dropout: 2^20 elements have the same bits in every build") {
    CHECK(test::hash(dropped(0.1, stream(), 1024, 1024, ones<float>(1 << 20))) == 0xddf4305852c32621u);
    CHECK(test::hash(dropped(0.25, stream(3), 9001, 3, ones<float>(27003))) == 0xb5703cafe2fc7b83u);
}

TEST_CASE("dropout: the ends of the probability") {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> const x{1, -0.0f, nan, 3};
    CHECK(test::hash(dropped(0.0, stream(), 1, 4, x)) == test::hash(x));
    layer::dropout<float, backend_type>(0).apply(device(), stream(), 5, 7, nullptr);  // touches nothing
    layer::dropout<float, backend_type>(0.5).apply(device(), stream(), 0, 7, nullptr);
    layer::dropout<float, backend_type>(0.5).apply(device(), stream(), 5, 0, nullptr);
    // nearly 1: all 2^32 words are dropped, and with them what is not finite
    CHECK(dropped(1 - 0x1p-40, stream(), 1, 4, x) == std::vector<float>{0, 0, 0, 0});
    CHECK(layer::dropout<float, backend_type>(0.25).probability() == 0.25);
    using dropout = layer::dropout<float, backend_type>;
    CHECK_THROWS_WITH_AS(dropout(1), "domain_error: dropout: the probability is 1, it must be in [0, 1)", domain_error);
    CHECK_THROWS_WITH_AS(dropout(-0.1), "domain_error: dropout: the probability is -0.1, it must be in [0, 1)", domain_error);
    CHECK_THROWS_AS(dropout(std::nan("")), domain_error);
}

}  // namespace
}  // namespace onestep::dropout_tests
