#include <doctest/doctest.h>
#include <onestep/network/layer/silu.hpp>

#include <array>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::silu_tests {
namespace {

using layer::functor::keep;
using test::backend_type;
using test::device;

std::vector<float> inputs() {
    std::vector<float> x(1003);                                                                  // not a multiple of any vector width
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i) - 500.0f) / 32.0f;  // exact, -15.6 .. 15.7
    return x;
}

TEST_CASE("silu: value and derivative are those of x / (1 + e^-x)") {
    for (double x = -30; x <= 30; x += 0.37) {
        CHECK(silu(x) == doctest::Approx(test::silu_in_double(x)).epsilon(1e-14));
        CHECK(silu_derivative(x) ==
              doctest::Approx(test::slope(1e-3, [&](double h) { return test::silu_in_double(x + h); })).epsilon(1e-9));
    }
    CHECK(silu(0.0f) == 0.0f);
    CHECK(silu_derivative(0.0f) == 0.5f);
    CHECK(silu(100.0f) == 100.0f);
    CHECK(std::fabs(silu(-100.0f)) < 1e-35f);  // the exponential is clamped, the result stays finite
}

TEST_CASE("silu: forward, backward and jvp on a backend") {
    auto const x = inputs();
    auto const n = static_cast<index_t>(x.size());
    auto const dy = test::normals<float>(n, 1);
    tensor<float, backend_type> at(device(), {n}, x), slope(device(), {n}, dy), y(device(), {n}), dx(device(), {n}), y2(device(), {n}),
        vy(device(), {n});
    layer::silu<float, backend_type> const layer;
    layer.forward(device(), n, at.data(), y.data());
    layer.backward(device(), n, at.data(), slope.data(), dx.data());
    layer.jvp(device(), n, at.data(), slope.data(), y2.data(), vy.data());

    auto const value = y.to_host(), gradient = dx.to_host();
    for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK(std::fabs(value[i] - test::silu_in_double(x[i])) <= 4e-7 * std::fmax(std::fabs(value[i]), 1e-3));
        CHECK(std::fabs(gradient[i] - dy[i] * test::silu_slope_in_double(x[i])) <= 1.5e-6 * std::fabs(dy[i]));
    }
    CHECK(y2.to_host() == value);
    CHECK(vy.to_host() == gradient);  // the derivative of an elementwise function is symmetric

    // in place
    layer.backward(device(), n, at.data(), slope.data(), slope.data());
    CHECK(slope.to_host() == gradient);
}

TEST_CASE("silu: the same bits on every backend and compiler") {
    auto const x = inputs();
    auto const n = static_cast<index_t>(x.size());
    tensor<float, backend_type> at(device(), {n}, x), vx(device(), {n}, test::normals<float>(n, 1)), y(device(), {n}), vy(device(), {n});
    layer::silu<float, backend_type>{}.jvp(device(), n, at.data(), vx.data(), y.data(), vy.data());
    CHECK(test::hash(y.to_host()) == 4904634207400449292u);
    CHECK(test::hash(vy.to_host()) == 16359290260680697492u);
}

TEST_CASE("silu: the fused pass of bias, shift and activation equals its parts") {
    index_t const n = 3, w = 21, apart = 50;
    auto const z0 = test::normals<double>(2 * n * w, 1), bias = test::normals<double>(w, 2),
               shift = test::normals<double>(2 * n * apart, 3);
    tensor<double, backend_type> z(device(), {2 * n, w}, z0), v(device(), {2 * n, w}), b(device(), {w}, bias),
        s(device(), {2 * n, apart}, shift);
    device().for_each_pair(
        n, w, layer::functor::bias_silu<double, true, true, keep::value>{b.data(), s.data(), z.data(), v.data(), nullptr, w, apart, n});
    auto const zs = z.to_host(), vs = v.to_host();
    for (index_t r = 0; r < n; ++r)
        for (index_t c = 0; c < w; ++c) {
            double const primal = z0[r * w + c] + bias[c] + shift[r * apart + c];
            double const tangent = z0[(n + r) * w + c] + shift[(n + r) * apart + c];
            CHECK(zs[r * w + c] == doctest::Approx(primal).epsilon(1e-14));
            CHECK(vs[r * w + c] == doctest::Approx(test::silu_in_double(primal)).epsilon(1e-13));
            CHECK(zs[(n + r) * w + c] == doctest::Approx(tangent).epsilon(1e-14));
            CHECK(vs[(n + r) * w + c] == doctest::Approx(tangent * test::silu_slope_in_double(primal)).epsilon(1e-13));
        }
}

TEST_CASE("silu: the fused pass leaves what it was told to keep") {
    index_t const n = 2, w = 19;
    auto const z0 = test::normals<double>(n * w, 1), bias = test::normals<double>(w, 2);
    tensor<double, backend_type> b(device(), {w}, bias);
    auto const run = [&](auto kept) {
        tensor<double, backend_type> z(device(), {n, w}, z0), v(device(), {n, w}), slope(device(), {n, w}, std::vector<double>(n * w, 7.0));
        device().for_each_pair(n, w,
                               layer::functor::bias_silu<double, false, false, decltype(kept)::value>{b.data(), nullptr, z.data(), v.data(),
                                                                                                      slope.data(), w, 0, n});
        return std::array{z.to_host(), v.to_host(), slope.to_host()};
    };
    auto const nothing = run(std::integral_constant<keep, keep::nothing>{}), value = run(std::integral_constant<keep, keep::value>{}),
               slope = run(std::integral_constant<keep, keep::slope>{}), both = run(std::integral_constant<keep, keep::value_and_slope>{});
    CHECK(nothing[0] == z0);
    CHECK(nothing[2] == std::vector<double>(n * w, 7.0));
    CHECK(value[2] == nothing[2]);
    CHECK(both[0] == value[0]);
    CHECK(both[2] == slope[0]);
    for (auto const& each : {nothing, slope, both}) CHECK(each[1] == value[1]);
    for (index_t i = 0; i < n * w; ++i) {
        CHECK(value[0][i] == doctest::Approx(z0[i] + bias[i % w]).epsilon(1e-14));
        CHECK(slope[0][i] == doctest::Approx(test::silu_slope_in_double(value[0][i])).epsilon(1e-13));
    }
}

}  // namespace
}  // namespace onestep::silu_tests
