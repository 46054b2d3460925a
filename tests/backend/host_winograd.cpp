#include <doctest/doctest.h>
#include <onestep/backend/cpu.hpp>
#include <onestep/core/tensor.hpp>

#include "network/values.hpp"

namespace onestep::host_winograd_tests {
namespace {

using values = std::vector<double>;
using rows = tensor<double, cpu>;

/// Everything that a convolution of either kind makes of the same numbers, in one row.
template <class Convolution> values results(cpu& device, Convolution const& layer, convolution_shape const& at, index_t n) {
    index_t const y_size = n * at.out_pixels() * at.out, x_size = n * at.x_size(), fine = n * at.pixels() * at.in;
    auto const given = [&](index_t size, std::uint64_t use) { return rows(device, {1, size}, test::normals<double>(size, use)); };
    rows const x = given(x_size, 1), w = given(at.weights(), 2), bias = given(at.out, 3), shift = given(n * at.out, 4),
               residual = given(y_size, 5), dy = given(y_size, 6), before = given(fine, 7);
    rows prepared(device, {1, layer.prepared_size() + 1}), y(device, {1, y_size}), dx(device, {1, fine}), dw = given(at.weights(), 8);
    layer.prepare(device, w.data(), prepared.data());
    layer.forward(device, n, x.data(), w.data(), prepared.data(), {bias.data(), shift.data(), at.out, residual.data()}, y.data());
    layer.input_gradient(device, n, dy.data(), w.data(), before.data(), dx.data());
    layer.weight_gradient(device, n, x.data(), dy.data(), dw.data());
    values all;
    for (rows const* part : {&y, &dx, &dw}) {
        auto const host = part->to_host();
        all.insert(all.end(), host.begin(), host.end());
    }
    return all;
}

// Fewer channels than a convolution of a network would bring here, images smaller than a tile, edges of every width, panels that are
// not full, enough tiles for several groups of them.
constexpr struct {
    convolution_shape at;
    index_t n;
} cases[] = {{{1, 1, 1, 1}, 1},
             {{1, 1, 3, 2}, 5},
             {{2, 3, 1, 17}, 2},
             {{3, 2, 17, 1}, 2},
             {{4, 4, 8, 8}, 1},
             {{5, 6, 9, 33}, 3},
             {{7, 7, 40, 5}, 4},
             {{9, 13, 2, 31}, 2},
             {{1, 20, 6, 6}, 1},
             {{16, 1, 5, 7}, 2},
             {{3, 3, 70, 90}, 1},
             {{8, 8, 4, 4}, 300},
             {{14, 14, 3, 3}, 70},
             {{2, 2, 5, 5, 3, 1, true}, 3},
             {{6, 10, 7, 20, 3, 1, true}, 2}};

template <int M> void check_against_patches() {
    for (int threads : {1, 3}) {
        cpu device(threads);
        for (auto const& c : cases) {
            CAPTURE(c.at.height);
            CAPTURE(c.at.width);
            CAPTURE(c.at.in);
            CAPTURE(c.at.out);
            CAPTURE(c.n);
            CAPTURE(threads);
            auto const got = results(device, host::winograd_convolution<double, cpu, M>(c.at), c.at, c.n);
            auto const expected = results(device, patch_convolution<double, cpu>(c.at, accuracy::exact), c.at, c.n);
            double const off = std::sqrt(test::dot(test::along(got, -1, expected), test::along(got, -1, expected)));
            CHECK(got.size() == expected.size());
            CHECK(off <= 1e-13 * std::sqrt(test::dot(expected, expected)));
        }
    }
}

TEST_CASE("winograd: F(4x4, 3x3) and its transposes equal the products over patches") { check_against_patches<4>(); }

TEST_CASE("winograd: F(2x2, 3x3) and its transposes equal the products over patches") { check_against_patches<2>(); }

TEST_CASE("winograd: no images, no results, nothing read") {
    cpu device(2);
    convolution_shape const at{4, 4, 3, 3};
    host::winograd_convolution<double, cpu, 4> const layer(at);
    values dw(static_cast<std::size_t>(at.weights()), 0.5);
    layer.forward(device, 0, nullptr, nullptr, nullptr, {}, nullptr);
    layer.weight_gradient(device, 0, nullptr, nullptr, dw.data());
    CHECK(dw == values(static_cast<std::size_t>(at.weights()), 0.5));
}

}  // namespace
}  // namespace onestep::host_winograd_tests
