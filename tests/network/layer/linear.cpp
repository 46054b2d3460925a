#include <doctest/doctest.h>
#include <onestep/network/layer/linear.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::linear_tests {
namespace {

using test::backend_type;
using test::device;

TEST_CASE("linear: names, shapes, places and initial deviations") {
    parameter_list list;
    layer::linear<float, backend_type> const first(list, "first", 4, 3);
    layer::linear<float, backend_type> const second(list, "second", 9, 5, 0.5, false);
    CHECK(first.in() == 4);
    CHECK(first.out() == 3);
    CHECK(list.size() == 4 * 3 + 3 + 9 * 5);
    std::vector<parameter> const entries(list.begin(), list.end());
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].name == "first.weight");
    CHECK(entries[0].extents == shape{3, 4});
    CHECK(entries[0].deviation == 0.5);
    CHECK(entries[1].name == "first.bias");
    CHECK(entries[1].extents == shape{3});
    CHECK(entries[1].offset == 12);
    CHECK(entries[1].deviation == 0);
    CHECK(entries[2].name == "second.weight");
    CHECK(entries[2].offset == 15);
    CHECK(entries[2].deviation == doctest::Approx(0.5 / 3));
}

TEST_CASE("linear: forward is x W^T + b") {
    index_t const n = 5, in = 7, out = 3;
    parameter_list list;
    list.add("something before", {2}, 0);
    layer::linear<double, backend_type> const layer(list, "l", in, out);
    auto const weights = test::normals<double>(list.size(), 1), x = test::normals<double>(n * in, 2);
    tensor<double, backend_type> w(device(), {list.size()}, weights), at(device(), {n, in}, x), y(device(), {n, out});
    layer.forward(device(), w.data(), n, at.data(), y.data());
    std::vector<double> expected(n * out);
    for (index_t r = 0; r < n; ++r)
        for (index_t o = 0; o < out; ++o) {
            double sum = weights[2 + out * in + o];
            for (index_t i = 0; i < in; ++i) sum += x[r * in + i] * weights[2 + o * in + i];
            expected[r * out + o] = sum;
        }
    CHECK(test::relative_difference(y.to_host(), expected) < 1e-14);

    // beta = 1 adds, and rows of y may lie further apart
    tensor<double, backend_type> wide(device(), {n, 4}, std::vector<double>(n * 4, 10.0));
    layer.multiply(device(), w.data(), n, at.data(), wide.data(), 1, 4);
    auto const spread = wide.to_host();
    for (index_t r = 0; r < n; ++r) {
        for (index_t o = 0; o < out; ++o)
            CHECK(spread[r * 4 + o] == doctest::Approx(10 + expected[r * out + o] - weights[2 + out * in + o]).epsilon(1e-13));
        CHECK(spread[r * 4 + 3] == 10);
    }
}

TEST_CASE("linear: parameter gradients add, the input gradient overwrites, both as plain loops give them") {
    index_t const n = 6, in = 5, out = 4;
    parameter_list list;
    layer::linear<double, backend_type> const layer(list, "l", in, out);
    auto const weights = test::normals<double>(list.size(), 1), x = test::normals<double>(n * in, 2),
               dy = test::normals<double>(n * out, 3), start = test::normals<double>(list.size(), 4);
    tensor<double, backend_type> w(device(), {list.size()}, weights), g(device(), {list.size()}, start), at(device(), {n, in}, x),
        slope(device(), {n, out}, dy), dx(device(), {n, in}, std::vector<double>(n * in, 99.0));
    layer.backward(device(), w.data(), g.data(), n, at.data(), slope.data(), dx.data());

    auto expected = start;
    std::vector<double> expected_dx(n * in);
    for (index_t r = 0; r < n; ++r)
        for (index_t o = 0; o < out; ++o) {
            for (index_t i = 0; i < in; ++i) {
                expected[o * in + i] += dy[r * out + o] * x[r * in + i];
                expected_dx[r * in + i] += dy[r * out + o] * weights[o * in + i];
            }
            expected[out * in + o] += dy[r * out + o];
        }
    CHECK(test::relative_difference(g.to_host(), expected) < 1e-14);
    CHECK(test::relative_difference(dx.to_host(), expected_dx) < 1e-14);

    // the same from rows of dy that lie apart
    std::vector<double> apart(n * 7, 1e30);
    for (index_t r = 0; r < n; ++r)
        for (index_t o = 0; o < out; ++o) apart[r * 7 + o] = dy[r * out + o];
    tensor<double, backend_type> strided(device(), {n, 7}, apart), g2(device(), {list.size()}, start), dx2(device(), {n, in});
    layer.backward_weight(device(), g2.data(), n, at.data(), strided.data(), 7);
    layer.backward_input(device(), w.data(), n, strided.data(), dx2.data(), 7);
    auto const weight_part = g2.to_host();
    for (index_t i = 0; i < out * in; ++i) CHECK(weight_part[i] == doctest::Approx(expected[i]).epsilon(1e-13));
    for (index_t i = out * in; i < list.size(); ++i) CHECK(weight_part[i] == start[i]);
    CHECK(test::relative_difference(dx2.to_host(), expected_dx) < 1e-14);
}

TEST_CASE("linear: gradients agree with finite differences") {
    index_t const n = 3, in = 17, out = 5;
    parameter_list list;
    layer::linear<double, backend_type> const layer(list, "l", in, out);
    auto const weights = test::normals<double>(list.size(), 1), x = test::normals<double>(n * in, 2),
               dy = test::normals<double>(n * out, 3), direction = test::normals<double>(list.size(), 4),
               vx = test::normals<double>(n * in, 5);
    auto const loss = [&](double h) {
        tensor<double, backend_type> w(device(), {list.size()}, test::along(weights, h, direction)),
            at(device(), {n, in}, test::along(x, h, vx)), y(device(), {n, out});
        layer.forward(device(), w.data(), n, at.data(), y.data());
        return test::dot(y.to_host(), dy);
    };
    tensor<double, backend_type> w(device(), {list.size()}, weights), g(device(), {list.size()}, std::vector<double>(list.size())),
        at(device(), {n, in}, x), slope(device(), {n, out}, dy), dx(device(), {n, in});
    layer.backward(device(), w.data(), g.data(), n, at.data(), slope.data(), dx.data());
    double const given = test::dot(g.to_host(), direction) + test::dot(dx.to_host(), vx);
    CHECK(given == doctest::Approx(test::slope(1e-3, loss)).epsilon(1e-10));
}

TEST_CASE("linear: without a bias there is nothing to add and no gradient for it") {
    index_t const n = 2, in = 3, out = 2;
    parameter_list list;
    layer::linear<double, backend_type> const layer(list, "l", in, out, 1, false);
    CHECK(list.size() == in * out);
    tensor<double, backend_type> w(device(), {6}, {1, 2, 3, 4, 5, 6}), x(device(), {n, in}, {1, 0, 0, 0, 1, 0}), y(device(), {n, out}),
        g(device(), {6}, std::vector<double>(6)), dy(device(), {n, out}, {1, 0, 0, 1});
    layer.forward(device(), w.data(), n, x.data(), y.data());
    CHECK(y.to_host() == std::vector<double>{1, 4, 2, 5});
    layer.backward(device(), w.data(), g.data(), n, x.data(), dy.data(), nullptr);
    CHECK(g.to_host() == std::vector<double>{1, 0, 0, 0, 1, 0});
}

}  // namespace
}  // namespace onestep::linear_tests
