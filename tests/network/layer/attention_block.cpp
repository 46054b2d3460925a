#include <doctest/doctest.h>
#include <onestep/network/layer/attention_block.hpp>

#include <algorithm>

#include "network/layer/plain.hpp"
#include "test_backend.hpp"

namespace onestep::attention_block_tests {
namespace {

using test::backend_type;
using test::device;
using test::on_device;
using test::rows;
using test::values;
using block_type = layer::attention_block<double, backend_type>;

/// Two images of `pixels` pixels.
struct problem {
    index_t pixels, channels, heads, groups, n = 2;
    parameter_list list = {};
    block_type block{list, "attention", pixels, channels, heads, groups};
    values weights = test::normals<double>(list.size(), 1, 0.5), start = test::normals<double>(list.size(), 2);
    values x = test::normals<double>(n * pixels * channels, 3), v = test::normals<double>(n * pixels * channels, 4),
           dy = test::normals<double>(n * pixels * channels, 5);

    struct results {
        values y, vy, dx, gradients;
    };
    /// Everything at once; tangents of the first m images.
    results run(values const& all_weights, values const& of_x, index_t m) const {
        pool<backend_type> memory(device());
        rows const w = on_device(all_weights), in = on_device(of_x), along = on_device(v);
        rows y(device(), {1, in.size()}), vy = on_device(values(x.size(), 99.0)), d = on_device(dy), gradients = on_device(start);
        block_type::tape kept;  // goes before the pool
        layer::pass<double, backend_type> const of{device(), memory, w.data(), nullptr, n, m};
        block.forward(of, {in.data(), m > 0 ? along.data() : nullptr}, kept, {y.data(), m > 0 ? vy.data() : nullptr});
        block.backward(of, gradients.data(), in.data(), kept, d.data());
        return {y.to_host(), vy.to_host(), d.to_host(), gradients.to_host()};
    }
    /// The formula, from the parameters' names.
    values plain() const {
        auto const p = test::by_name(list, weights);
        auto const apply = [&](std::string const& name, double const* z) {
            values y = p.at("attention." + name + ".bias");
            values const& w = p.at("attention." + name + ".weight");
            for (index_t k = 0; k < static_cast<index_t>(w.size()); ++k) y[k / channels] += w[k] * z[k % channels];
            return y;
        };
        index_t const d = channels / heads;
        values const z = test::plain_group_norm({n, pixels, 1}, groups, x, p.at("attention.norm.weight"), p.at("attention.norm.bias"));
        values all = x;
        for (index_t i = 0; i < n; ++i) {
            double* const image = all.data() + i * pixels * channels;
            values qkv;
            for (index_t k = 0; k < pixels; ++k) {
                values const row = apply("qkv", z.data() + (i * pixels + k) * channels);
                qkv.insert(qkv.end(), row.begin(), row.end());
            }
            for (index_t a = 0; a < pixels; ++a) {
                values attended(channels);
                for (index_t head = 0; head < heads; ++head) {
                    double total = 0;
                    values sum(d);
                    for (index_t b = 0; b < pixels; ++b) {
                        double score = 0;
                        for (index_t c = head * d; c < (head + 1) * d; ++c)
                            score += qkv[a * 3 * channels + c] * qkv[b * 3 * channels + channels + c];
                        double const e = std::exp(score / std::sqrt(static_cast<double>(d)));
                        total += e;
                        for (index_t c = 0; c < d; ++c) sum[c] += e * qkv[b * 3 * channels + 2 * channels + head * d + c];
                    }
                    for (index_t c = 0; c < d; ++c) attended[head * d + c] = sum[c] / total;
                }
                values const o = apply("out", attended.data());
                for (index_t c = 0; c < channels; ++c) image[a * channels + c] += o[c];
            }
        }
        return all;
    }
};
problem const problems[] = {{16, 4, 1, 2}, {15, 6, 3, 1}, {1, 4, 2, 2}, {15, 8, 2, 4}};

TEST_CASE("attention_block: y is what the formula gives") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        CHECK(test::relative_difference(p.run(p.weights, p.x, 0).y, p.plain()) < 1e-13);
    }
}

TEST_CASE("attention_block: a new block passes x on") {
    problem const& p = problems[3];
    rows fresh(device(), {1, p.list.size()});
    p.list.initialise(fresh.view(), 6);
    CHECK(p.run(fresh.to_host(), p.x, 0).y == p.x);
}

TEST_CASE("attention_block: tangents are derivatives, of as many images as asked for, and change no bit of y") {
    for (problem const& p : problems)
        for (index_t const m : {1, 2}) {
            CAPTURE(&p - problems);
            CAPTURE(m);
            auto const with = p.run(p.weights, p.x, m);
            CHECK(test::hash(with.y) == test::hash(p.run(p.weights, p.x, 0).y));
            values some = p.dy;  // of the first m images
            std::fill(some.begin() + m * p.block.y_size(), some.end(), 0.0);
            double const exact =
                test::slope(1e-4, [&](double h) { return test::dot(some, p.run(p.weights, test::along(p.x, h, p.v), 0).y); });
            CHECK(test::dot(some, with.vy) == doctest::Approx(exact).epsilon(1e-8));
            CHECK(std::all_of(with.vy.begin() + m * p.block.y_size(), with.vy.end(), [](double each) { return each == 99; }));
        }
}

TEST_CASE("attention_block: dx is the transpose, gradients of each parameter are derivatives and add") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        auto const all = p.run(p.weights, p.x, 2);
        CHECK(test::dot(all.dx, p.v) == doctest::Approx(test::dot(p.dy, all.vy)).epsilon(1e-11));
        test::check_parameter_gradients(p.list, p.weights, test::along(all.gradients, -1, p.start),
                                        [&](values const& weights) { return test::dot(p.dy, p.run(weights, p.x, 0).y); });
    }
}

}  // namespace
}  // namespace onestep::attention_block_tests
