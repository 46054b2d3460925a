#include <doctest/doctest.h>
#include <onestep/backend/convolution.hpp>

#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::backend_convolution_tests {
namespace {

using test::backend_type;
using test::device;
template <class T> using values = std::vector<T>;

/// Everything a convolution computes, in double and as it is written down.
struct plain_convolution {
    convolution_shape at;
    index_t n;

    index_t y_size() const { return n * at.out_pixels() * at.out; }
    index_t x_size() const { return n * at.x_size(); }
    index_t fine_size() const { return n * at.pixels() * at.in; }

    /// f(index of the output, of the pixel in the fine image, of the pixel as it is stored, of the weight).
    template <class F> void for_each_product(F const& f) const {
        index_t const reach = at.kernel / 2, down = at.doubled ? 2 : 1;
        for (index_t i = 0; i < n; ++i)
            for (index_t oy = 0; oy < at.out_height(); ++oy)
                for (index_t ox = 0; ox < at.out_width(); ++ox)
                    for (index_t t = 0; t < at.taps(); ++t) {
                        index_t const y = at.stride * oy + t / at.kernel - reach, x = at.stride * ox + t % at.kernel - reach;
                        if (y < 0 || y >= at.height || x < 0 || x >= at.width) continue;
                        index_t const out = (i * at.out_height() + oy) * at.out_width() + ox, fine = (i * at.height + y) * at.width + x,
                                      stored = (i * (at.height / down) + y / down) * (at.width / down) + x / down;
                        for (index_t c = 0; c < at.in; ++c)
                            for (index_t k = 0; k < at.out; ++k)
                                f(static_cast<std::size_t>(out * at.out + k), static_cast<std::size_t>(fine * at.in + c),
                                  static_cast<std::size_t>(stored * at.in + c), static_cast<std::size_t>((t * at.in + c) * at.out + k));
                    }
    }
    values<double> forward(values<double> const& x, values<double> const& w, values<double> const& bias, values<double> const& shift,
                           values<double> const& residual) const {
        values<double> y = residual;
        for (index_t p = 0; p < n * at.out_pixels(); ++p)
            for (index_t k = 0; k < at.out; ++k)
                y[static_cast<std::size_t>(p * at.out + k)] +=
                    bias[static_cast<std::size_t>(k)] + shift[static_cast<std::size_t>(p / at.out_pixels() * at.out + k)];
        for_each_product([&](std::size_t o, std::size_t, std::size_t i, std::size_t weight) { y[o] += x[i] * w[weight]; });
        return y;
    }
    values<double> input_gradient(values<double> const& dy, values<double> const& w) const {
        values<double> dx(static_cast<std::size_t>(fine_size()));
        for_each_product([&](std::size_t o, std::size_t i, std::size_t, std::size_t weight) { dx[i] += dy[o] * w[weight]; });
        return dx;
    }
    values<double> weight_gradient(values<double> const& x, values<double> const& dy) const {
        values<double> dw(static_cast<std::size_t>(at.weights()));
        for_each_product([&](std::size_t o, std::size_t, std::size_t i, std::size_t weight) { dw[weight] += dy[o] * x[i]; });
        return dw;
    }
};

template <class T> values<T> converted(values<double> const& from) { return {from.begin(), from.end()}; }
values<double> widened(values<float> const& from) { return {from.begin(), from.end()}; }
values<double> widened(values<double> const& from) { return from; }

/// The largest relative error of the four results against plain_convolution.
template <class T> double worst_error(convolution_shape const& at, index_t n, accuracy how) {
    plain_convolution const plain{at, n};
    using rows = tensor<T, backend_type>;
    auto const given = [&](index_t size, std::uint64_t use) { return widened(converted<T>(test::normals<double>(size, use))); };
    auto const place = [&](values<double> const& v) { return rows(device(), {1, static_cast<index_t>(v.size())}, converted<T>(v)); };
    auto const x = given(plain.x_size(), 1), w = given(at.weights(), 2), bias = given(at.out, 3), shift = given(n * at.out, 4),
               residual = given(plain.y_size(), 5), dy = given(plain.y_size(), 6), dw = given(at.weights(), 7);
    convolution_on<T, backend_type> const layer(at, how);
    rows const in = place(x), weights = place(w), b = place(bias), s = place(shift), r = place(residual), gradient = place(dy);
    rows prepared(device(), {1, layer.prepared_size() + 1}),
        y = r, fresh(device(), {1, plain.y_size()}), dx(device(), {1, plain.fine_size()}), added_dx = place(given(plain.fine_size(), 8)),
        dweights = place(dw);
    layer.prepare(device(), weights.data(), prepared.data());
    layer.forward(device(), n, in.data(), weights.data(), prepared.data(), {b.data(), s.data(), at.out, y.data()}, y.data());
    layer.forward(device(), n, in.data(), weights.data(), prepared.data(), {b.data(), s.data(), at.out, r.data()}, fresh.data());
    layer.input_gradient(device(), n, gradient.data(), weights.data(), nullptr, dx.data());
    layer.input_gradient(device(), n, gradient.data(), weights.data(), added_dx.data(), added_dx.data());
    layer.weight_gradient(device(), n, in.data(), gradient.data(), dweights.data());
    CHECK(test::hash(y.to_host()) == test::hash(fresh.to_host()));
    auto const dx_expected = plain.input_gradient(dy, w);
    auto const error = [](rows const& got, values<double> const& expected) {
        return test::relative_difference(widened(got.to_host()), expected);
    };
    return std::max({error(y, plain.forward(x, w, bias, shift, residual)), error(dx, dx_expected),
                     error(added_dx, test::along(given(plain.fine_size(), 8), 1, dx_expected)),
                     error(dweights, test::along(dw, 1, plain.weight_gradient(x, dy)))});
}

constexpr convolution_shape shapes[] = {
    {1, 1, 1, 1},
    {4, 4, 16, 16},
    {5, 7, 17, 19},
    {8, 8, 32, 64},
    {7, 7, 48, 33},
    {2, 2, 16, 40},
    {3, 3, 20, 16},
    {1, 9, 16, 16},
    {6, 4, 3, 20},
    {6, 5, 20, 3},
    {5, 5, 1, 16},
    {4, 6, 16, 1},
    {9, 10, 70, 16},
    {7, 7, 5, 6, 3, 2},
    {8, 6, 16, 16, 3, 2},
    {1, 1, 4, 4, 3, 2},
    {5, 4, 7, 9, 1},
    {5, 4, 7, 9, 1, 2},
    {8, 8, 16, 16, 3, 1, true},
    {6, 10, 3, 5, 3, 1, true},
    {4, 4, 20, 17, 3, 1, true},
};

TEST_CASE("convolution: all results equal the sums as written, in double, in every way") {
    for (convolution_shape const& at : shapes)
        for (accuracy const how : {accuracy::fast, accuracy::balanced, accuracy::exact})
            for (index_t const n : {1, 3}) {
                CAPTURE(at.height);
                CAPTURE(at.width);
                CAPTURE(at.in);
                CAPTURE(at.out);
                CAPTURE(static_cast<int>(how));
                CHECK(worst_error<double>(at, n, how) < 1e-12);
            }
}

TEST_CASE("convolution: rounding in float is what accuracy promises") {
    for (convolution_shape const& at : {convolution_shape{12, 12, 64, 32}, {7, 7, 96, 80}, {5, 6, 20, 300}}) {
        CAPTURE(at.height);
        CHECK(worst_error<float>(at, 2, accuracy::fast) < 2e-5);
        CHECK(worst_error<float>(at, 2, accuracy::balanced) < 4e-6);
        CHECK(worst_error<float>(at, 2, accuracy::exact) < 4e-6);
    }
}

TEST_CASE("convolution: deep sums are restarted, many images make groups") {
    CHECK(worst_error<double>({4, 4, 300, 16}, 1, accuracy::fast) < 1e-12);
    CHECK(worst_error<double>({4, 4, 16, 16}, 70, accuracy::exact) < 1e-12);
    CHECK(worst_error<double>({12, 12, 16, 16}, 150, accuracy::fast) < 1e-12);
}

TEST_CASE("convolution: an image has the same bits alone and among others") {
    convolution_shape const at{6, 6, 24, 40};
    index_t const n = 40, x_size = at.x_size(), y_size = at.out_pixels() * at.out;
    for (accuracy const how : {accuracy::fast, accuracy::balanced, accuracy::exact}) {
        convolution_on<float, backend_type> const layer(at, how);
        tensor<float, backend_type> const x(device(), {n, x_size}, test::normals<float>(n * x_size, 1)),
            w(device(), {1, at.weights()}, test::normals<float>(at.weights(), 2));
        tensor<float, backend_type> prepared(device(), {1, layer.prepared_size() + 1}), together(device(), {n, y_size}),
            alone(device(), {n, y_size});
        layer.prepare(device(), w.data(), prepared.data());
        layer.forward(device(), n, x.data(), w.data(), prepared.data(), {}, together.data());
        for (index_t i = 0; i < n; ++i)
            layer.forward(device(), 1, x.data() + i * x_size, w.data(), prepared.data(), {}, alone.data() + i * y_size);
        CHECK(test::hash(together.to_host()) == test::hash(alone.to_host()));
    }
}

TEST_CASE("convolution: no images, no work") {
    for (accuracy const how : {accuracy::fast, accuracy::exact}) {
        convolution_shape const at{4, 4, 16, 16};
        convolution_on<float, backend_type> const layer(at, how);
        tensor<float, backend_type> w(device(), {1, at.weights()}, test::normals<float>(at.weights(), 2));
        auto const before = w.to_host();
        layer.forward(device(), 0, nullptr, w.data(), nullptr, {}, nullptr);
        layer.input_gradient(device(), 0, nullptr, w.data(), nullptr, nullptr);
        layer.weight_gradient(device(), 0, nullptr, nullptr, w.data());
        CHECK(w.to_host() == before);
    }
}

}  // namespace
}  // namespace onestep::backend_convolution_tests
