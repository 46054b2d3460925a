#include <doctest/doctest.h>
#include <onestep/network/layer/convolution.hpp>

#include "network/layer/plain.hpp"
#include "test_backend.hpp"

namespace onestep::layer_convolution_tests {
namespace {

using test::backend_type;
using test::device;
using test::on_device;
using test::rows;
using test::values;

/// A layer that is not the first of its network, on n images, with everything that it reads.
struct problem {
    convolution_shape at;
    index_t n;
    parameter_list list = {};
    index_t before = list.add("before", {5}, 1), prepared = 7 * 16;
    layer::convolution<double, backend_type> layer{list, "conv", at, accuracy::fast, 1, prepared};
    values weights = test::normals<double>(list.size(), 1);
    values x = test::normals<double>(n * at.x_size(), 2), shift = test::normals<double>(n * at.out, 3);
    values residual = test::normals<double>(n * at.out_pixels() * at.out, 4), dy = test::normals<double>(n * layer.y_size(), 5);

    values forward(values const& all_weights, values const& of, bool tangent = false) const {
        rows const w = on_device(all_weights), in = on_device(of), s = on_device(shift);
        rows y = on_device(residual);
        added<double> const more{nullptr, s.data(), at.out, y.data()};
        if (tangent) layer.tangent(device(), w.data(), nullptr, n, in.data(), more, y.data());
        else layer.forward(device(), w.data(), nullptr, n, in.data(), more, y.data());
        return y.to_host();
    }
    /// Conv2d as PyTorch documents it, of the parameters as they are named.
    values plain(bool with_bias) const {
        auto const weight = to_named(*(list.begin() + 1), weights), bias = to_named(*(list.begin() + 2), weights);
        index_t const down = at.doubled ? 2 : 1, k = at.kernel;
        values y = residual;
        for (index_t p = 0; p < n * at.out_pixels(); ++p)
            for (index_t o = 0; o < at.out; ++o) {
                index_t const image = p / at.out_pixels(), oy = p / at.out_width() % at.out_height(), ox = p % at.out_width();
                double sum = (with_bias ? bias[o] : 0) + shift[image * at.out + o];
                for (index_t tap = 0; tap < k * k; ++tap) {
                    index_t const iy = at.stride * oy + tap / k - k / 2, ix = at.stride * ox + tap % k - k / 2;
                    if (iy < 0 || iy >= at.height || ix < 0 || ix >= at.width) continue;
                    index_t const pixel = (image * (at.height / down) + iy / down) * (at.width / down) + ix / down;
                    for (index_t i = 0; i < at.in; ++i) sum += weight[(o * at.in + i) * k * k + tap] * x[pixel * at.in + i];
                }
                y[p * at.out + o] += sum;
            }
        return y;
    }
};
constexpr convolution_shape shapes[] = {{4, 4, 3, 5},    {3, 5, 17, 16},           {1, 1, 2, 3},
                                        {3, 5, 4, 2, 1}, {4, 4, 2, 3, 3, 2},       {3, 5, 3, 2, 3, 2},
                                        {4, 4, 16, 20},  {4, 6, 2, 3, 3, 1, true}, {4, 4, 16, 17, 3, 1, true}};

TEST_CASE("convolution layer: parameters are named and spread as PyTorch's Conv2d, and lie as [kernel, kernel, in, out]") {
    problem const p{{4, 4, 3, 5}, 1};
    parameter const weight = *(p.list.begin() + 1), bias = *(p.list.begin() + 2);
    CHECK(weight.name + to_string(weight.extents) + " " + bias.name + to_string(bias.extents) == "conv.weight[5, 3, 3, 3] conv.bias[5]");
    CHECK(weight.deviation == doctest::Approx(1 / std::sqrt(27.0)).epsilon(1e-15));
    CHECK((bias.deviation == 0 && bias.value == 0));
    auto const named = to_named(weight, p.weights);
    index_t wrong = 0;
    for (index_t o = 0; o < 5; ++o)
        for (index_t i = 0; i < 3; ++i)
            for (index_t tap = 0; tap < 9; ++tap) wrong += named[(o * 3 + i) * 9 + tap] != p.weights[5 + (tap * 3 + i) * 5 + o];
    CHECK(wrong == 0);
}

TEST_CASE("convolution layer: y is Conv2d of x, a tangent the same without bias, both onto what is there") {
    for (convolution_shape const& at : shapes) {
        CAPTURE(&at - shapes);
        problem const p{at, 2};
        CHECK(test::relative_difference(p.forward(p.weights, p.x), p.plain(true)) < 1e-13);
        CHECK(test::relative_difference(p.forward(p.weights, p.x, true), p.plain(false)) < 1e-13);
    }
}

TEST_CASE("convolution layer: a prepared buffer, shared with other layers, changes no bit") {
    for (convolution_shape const& at : shapes) {
        CAPTURE(&at - shapes);
        problem p{at, 2};
        CHECK(p.prepared % 16 == 0);
        index_t const first = p.prepared;
        layer::convolution<double, backend_type> const other(p.list, "other", at, accuracy::balanced, 1, p.prepared);
        CHECK(p.prepared >= first);
        auto const weights = test::normals<double>(p.list.size(), 6);
        rows const w = on_device(weights), x = on_device(p.x);
        rows prepared(device(), {1, p.prepared + 1}), y(device(), {1, p.n * p.layer.y_size()}), z = y;
        p.layer.prepare(device(), w.data(), prepared.data());
        other.prepare(device(), w.data(), prepared.data());
        for (auto const* each : {&std::as_const(p.layer), &other}) {
            each->forward(device(), w.data(), prepared.data(), p.n, x.data(), {}, y.data());
            each->forward(device(), w.data(), nullptr, p.n, x.data(), {}, z.data());
            CHECK(test::hash(y.to_host()) == test::hash(z.to_host()));
        }
    }
}

TEST_CASE("convolution layer: gradients are the transpose, those of parameters add") {
    for (convolution_shape const& at : shapes) {
        CAPTURE(&at - shapes);
        problem const p{at, 2};
        values const start = test::normals<double>(p.list.size(), 7), v = test::normals<double>(p.list.size(), 8);
        values const onto = test::normals<double>(p.n * at.pixels() * at.in, 9);
        rows const w = on_device(p.weights), x = on_device(p.x), dy = on_device(p.dy);
        rows gradients = on_device(start), dx(device(), {1, p.n * at.pixels() * at.in}), more = on_device(onto);
        p.layer.backward_weight(device(), gradients.data(), p.n, x.data(), dy.data());
        p.layer.backward_bias(device(), gradients.data(), p.n, dy.data());
        double const exact = test::slope(1, [&](double h) { return test::dot(p.dy, p.forward(test::along(p.weights, h, v), p.x)); });
        auto const added = gradients.to_host();
        CHECK(test::dot(v, test::along(added, -1, start)) == doctest::Approx(exact).epsilon(1e-11));
        for (index_t k = 0; k < 5; ++k) CHECK(added[k] == start[k]);

        p.layer.backward_input(device(), w.data(), p.n, dy.data(), nullptr, dx.data());
        p.layer.backward_input(device(), w.data(), p.n, dy.data(), more.data(), more.data());
        auto const gradient = dx.to_host();
        CHECK(test::relative_difference(more.to_host(), test::along(onto, 1, gradient)) < 1e-13);
        convolution_shape seen = at;
        seen.doubled = false;  // what is doubled has its gradient before that
        problem const fine{seen, 2};
        double const linear =
            test::dot(p.dy, test::along(fine.forward(p.weights, fine.x, true), -1, fine.forward(p.weights, values(fine.x.size()), true)));
        CHECK(test::dot(gradient, fine.x) == doctest::Approx(linear).epsilon(1e-11));
    }
}

TEST_CASE("convolution layer: the gradient of the bias from sums of each image") {
    problem const p{{3, 5, 2, 3}, 2};
    index_t const stride = 4, bias = p.list.size() - 3;
    values sums(p.n * stride, 99.0), expected = test::normals<double>(p.list.size(), 7);
    rows gradients = on_device(expected);
    for (index_t i = 0; i < p.n; ++i)
        for (index_t k = 0; k < 3; ++k) {
            sums[i * stride + k] = 0;
            for (index_t pixel = 0; pixel < 15; ++pixel) sums[i * stride + k] += p.dy[(i * 15 + pixel) * 3 + k];
            expected[bias + k] += sums[i * stride + k];
        }
    rows const from = on_device(sums);
    p.layer.backward_bias_of_sums(device(), gradients.data(), p.n, from.data(), stride);
    CHECK(test::relative_difference(gradients.to_host(), expected) < 1e-15);
}

}  // namespace
}  // namespace onestep::layer_convolution_tests
