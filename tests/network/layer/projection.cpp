#include <doctest/doctest.h>
#include <onestep/network/layer/projection.hpp>

#include "network/layer/plain.hpp"
#include "test_backend.hpp"

namespace onestep::projection_tests {
namespace {

using test::backend_type;
using test::device;
using test::on_device;
using test::rows;
using test::values;

/// Pixels of `in` channels, the first `a` of them in one tensor and the rest, if there is a rest, in another.
struct problem {
    index_t pixels, in, a, out;
    parameter_list list = {};
    index_t before = list.add("before", {3}, 1);
    layer::projection<double, backend_type> layer{list, "skip", in, out};
    values weights = test::normals<double>(list.size(), 1), start = test::normals<double>(list.size(), 2);
    values x = test::normals<double>(pixels * in, 3), v = test::normals<double>(pixels * in, 4),
           dy = test::normals<double>(pixels * out, 5);

    values part(values const& of, index_t first, index_t last) const { return test::cut(of, in, first, last); }
    values forward(values const& all_weights, values const& of, bool tangent = false) const {
        rows const w = on_device(all_weights), left = on_device(part(of, 0, a)), right = on_device(part(of, a, in));
        rows y = on_device(values(dy.size(), 99.0));
        layer::joined<double const> const both{left.data(), a, a < in ? right.data() : nullptr};
        if (tangent) layer.tangent(device(), w.data(), pixels, both, y.data());
        else layer.forward(device(), w.data(), pixels, both, y.data());
        return y.to_host();
    }
    /// y, in double and by the names of the parameters.
    values plain(values const& of, bool with_bias) const {
        auto const weight = to_named(*(list.begin() + 1), weights), bias = to_named(*(list.begin() + 2), weights);
        values y(dy.size());
        for (index_t r = 0; r < pixels; ++r)
            for (index_t o = 0; o < out; ++o) {
                double sum = with_bias ? bias[o] : 0;
                for (index_t i = 0; i < in; ++i) sum += weight[o * in + i] * of[r * in + i];
                y[r * out + o] = sum;
            }
        return y;
    }
    struct gradients {
        values parameters, x;
    };
    /// dx goes onto `onto`, which is laid out as x.
    gradients backward(values const& onto, bool add) const {
        rows const w = on_device(weights), left = on_device(part(x, 0, a)), right = on_device(part(x, a, in)), upstream = on_device(dy);
        rows d = on_device(start), dleft = on_device(part(onto, 0, a)), dright = on_device(part(onto, a, in));
        bool const two = a < in;
        layer.backward(device(), w.data(), d.data(), pixels, {left.data(), a, two ? right.data() : nullptr}, upstream.data(),
                       {dleft.data(), a, two ? dright.data() : nullptr}, add);
        return {d.to_host(), test::side_by_side(dleft.to_host(), a, dright.to_host(), in - a)};
    }
};
problem const problems[] = {{15, 4, 4, 3}, {15, 5, 2, 7}, {1, 1, 1, 1}, {1, 2, 1, 3}, {32, 20, 4, 1}};

TEST_CASE("projection: parameters are named and spread as PyTorch's Conv2d of one pixel, and lie as [in, out]") {
    problem const p{1, 4, 4, 3};
    parameter const weight = *(p.list.begin() + 1), bias = *(p.list.begin() + 2);
    CHECK(weight.name + to_string(weight.extents) + " " + bias.name + to_string(bias.extents) == "skip.weight[3, 4, 1, 1] skip.bias[3]");
    CHECK(weight.deviation == 0.5);
    CHECK((bias.deviation == 0 && bias.value == 0));
    CHECK(to_named(weight, p.weights)[2 * 4 + 1] == p.weights[3 + 1 * 3 + 2]);
}

TEST_CASE("projection: y = W x + b, a tangent W v, of one tensor and of two") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        CHECK(test::relative_difference(p.forward(p.weights, p.x), p.plain(p.x, true)) < 1e-14);
        CHECK(test::relative_difference(p.forward(p.weights, p.v, true), p.plain(p.v, false)) < 1e-14);
    }
}

TEST_CASE("projection: gradients are the transpose, those of x overwrite or add, those of parameters add") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        auto const onto = test::normals<double>(p.pixels * p.in, 6), direction = test::normals<double>(p.list.size(), 7);
        auto const written = p.backward(onto, false), added = p.backward(onto, true);
        CHECK(test::dot(written.x, p.v) == doctest::Approx(test::dot(p.dy, p.forward(p.weights, p.v, true))).epsilon(1e-12));
        CHECK(test::relative_difference(added.x, test::along(onto, 1, written.x)) < 1e-14);
        CHECK(added.parameters == written.parameters);
        for (index_t k = 0; k < 3; ++k) CHECK(written.parameters[k] == p.start[k]);
        double const exact =
            test::slope(1, [&](double h) { return test::dot(p.dy, p.forward(test::along(p.weights, h, direction), p.x)); });
        CHECK(test::dot(direction, test::along(written.parameters, -1, p.start)) == doctest::Approx(exact).epsilon(1e-11));
    }
}

TEST_CASE("projection: two tensors are one that was cut") {
    problem const one{15, 6, 6, 4}, two{15, 6, 1, 4};
    CHECK(test::relative_difference(two.forward(two.weights, two.x), one.forward(one.weights, one.x)) < 1e-14);
    auto const a = one.backward(one.x, true), b = two.backward(two.x, true);
    CHECK(test::relative_difference(b.x, a.x) < 1e-14);
    CHECK(test::relative_difference(b.parameters, a.parameters) < 1e-14);
}

}  // namespace
}  // namespace onestep::projection_tests
