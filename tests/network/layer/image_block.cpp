#include <doctest/doctest.h>
#include <onestep/network/layer/image_block.hpp>

#include <algorithm>

#include "network/layer/plain.hpp"
#include "test_backend.hpp"

namespace onestep::image_block_tests {
namespace {

using test::backend_type;
using test::device;
using test::on_device;
using test::rows;
using test::values;
using block_type = layer::image_block<double, backend_type>;

/// Two images; of their `in` channels the first `a` lie in one tensor, the others, if there are others, in a second one.
struct problem {
    index_t height, width, in, a, out;
    bool scaled, dropped, joins = a < in;
    index_t groups = 3, n = 2, pixels = height * width, y_size = pixels * out, stride = 2 * out + 3, prepared_size = 0;
    parameter_list list = {};
    block_type block{list, "b", height, width, in, out, joins, {groups, scaled, dropped ? 0.3 : 0.0}, 4, prepared_size};
    values weights = test::normals<double>(list.size(), 1, 0.5), start = test::normals<double>(list.size(), 2);
    values x = test::normals<double>(n * pixels * in, 3), vx = test::normals<double>(n * pixels * in, 4),
           c = test::normals<double>(n * stride, 5), vc = test::normals<double>(n * stride, 6), dy = test::normals<double>(n * y_size, 7),
           onto = test::normals<double>(n * pixels * in, 8);
    random_key key = {3, 5};

    values part(values const& of, index_t first, index_t last) const { return test::cut(of, in, first, last); }
    struct results {
        values y, vy, dx, dc, gradients;
    };
    struct how {
        index_t m = 0;  // images with tangents
        bool prepared = false, add = false;
        double along = 0;                 // a step along vx and vc
        values const* weights = nullptr;  // other ones
    };
    results run(how const& with) const {
        pool<backend_type> memory(device());
        values const moved = test::along(x, with.along, vx);
        rows const w = on_device(with.weights ? *with.weights : weights), condition = on_device(test::along(c, with.along, vc)),
                   vcondition = on_device(vc);
        rows const xa = on_device(part(moved, 0, a)), xb = on_device(part(moved, a, in)), va = on_device(part(vx, 0, a)),
                   vb = on_device(part(vx, a, in));
        rows y(device(), {1, n * y_size}), vy = on_device(values(dy.size(), 99.0)), prepared(device(), {1, prepared_size + 1});
        rows d = on_device(dy), gradients = on_device(start), dc = on_device(values(c.size(), 99.0)), da = on_device(part(onto, 0, a)),
             db = on_device(part(onto, a, in));
        auto const joined = [&](auto* left, auto* right) {
            return layer::joined<std::remove_pointer_t<decltype(left)>>{left, a, a < in ? right : nullptr};
        };
        if (with.prepared) block.prepare(device(), w.data(), prepared.data());
        layer::pass<double, backend_type> const of{
            device(), memory, w.data(), with.prepared ? prepared.data() : nullptr, n, with.m, dropped ? &key : nullptr};
        block_type::tape kept;  // goes before the pool
        block.forward(of, joined(xa.data(), xb.data()), joined(va.data(), vb.data()), {condition.data(), vcondition.data()}, stride, kept,
                      {y.data(), vy.data()});
        // A block without a skip of its own makes dx of dy, unless it adds.
        bool const in_place = !with.add && !joins && in == out;
        block.backward(of, gradients.data(), joined(xa.data(), xb.data()), condition.data(), stride, kept, d.data(),
                       joined(in_place ? d.data() : da.data(), db.data()), with.add, dc.data());
        values const dx = test::side_by_side(in_place ? d.to_host() : da.to_host(), a, db.to_host(), in - a);
        return {y.to_host(), vy.to_host(), dx, dc.to_host(), gradients.to_host()};
    }
    /// The formula, from the parameters' names.
    values plain() const {
        auto const p = test::by_name(list, weights);
        test::image_extents const e{n, height, width};
        auto const norm = [&](std::string const& name, values const& z, index_t channels) {
            return test::plain_group_norm(e, layer::group_count(channels, groups), z, p.at(name + ".weight"), p.at(name + ".bias"));
        };
        auto const convolve = [&](std::string const& name, index_t kernel, values const& z) {
            return test::plain_convolution(e, kernel, z, p.at(name + ".weight"), p.at(name + ".bias"));
        };
        values u = norm("b.norm1", x, in);
        for (double& each : u) each = test::silu_in_double(each);
        values h = convolve("b.conv1", 3, u);
        auto const condition = [&](index_t k, index_t first) { return c[k / out / pixels * stride + first + k % out]; };
        for (index_t k = 0; k < n * y_size && !scaled; ++k) h[k] += condition(k, 0);
        u = norm("b.norm2", h, out);
        rows fate = on_device(values(u.size(), 1.0));
        if (dropped) layer::dropout<double, backend_type>(0.3).apply(device(), key.at(draw::dropout, 4), n, y_size, fate.data());
        auto const factor = fate.to_host();
        for (index_t k = 0; k < n * y_size; ++k)
            u[k] = factor[k] * test::silu_in_double(scaled ? u[k] * (1 + condition(k, 0)) + condition(k, out) : u[k]);
        return test::along(convolve("b.conv2", 3, u), 1, joins || in != out ? convolve("b.skip", 1, x) : x);
    }
};
problem const problems[] = {
    {4, 4, 5, 5, 5, false, false}, {4, 4, 4, 4, 6, true, false},     {3, 5, 7, 3, 4, false, true},    {3, 5, 6, 6, 6, true, true},
    {1, 1, 6, 2, 6, true, false},  {4, 4, 20, 16, 17, false, false}, {4, 3, 16, 16, 16, false, true},
};

TEST_CASE("image_block: y is what the formula gives, with prepared weights the same bits") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        auto const y = p.run({}).y;
        CHECK(test::relative_difference(y, p.plain()) < 1e-12);
        CHECK(test::hash(p.run({.prepared = true}).y) == test::hash(y));
        CHECK(p.block.condition_size() == (p.scaled ? 2 * p.out : p.out));
    }
}

TEST_CASE("image_block: a new block passes x on") {
    problem p = problems[0];
    rows fresh(device(), {1, p.list.size()});
    p.list.initialise(fresh.view(), 6);
    p.weights = fresh.to_host();
    CHECK(p.run({}).y == p.x);
}

TEST_CASE("image_block: tangents along x and condition are derivatives, of as many images as asked for, and change no bit of y") {
    for (problem const& p : problems)
        for (index_t const m : {1, 2}) {
            CAPTURE(&p - problems);
            CAPTURE(m);
            auto const with = p.run({.m = m});
            CHECK(test::hash(with.y) == test::hash(p.run({}).y));
            CHECK(test::hash(p.run({.m = m, .prepared = true}).vy) == test::hash(with.vy));
            values some = p.dy;  // of the first m images
            std::fill(some.begin() + m * p.y_size, some.end(), 0.0);
            double const exact = test::slope(1e-4, [&](double h) { return test::dot(some, p.run({.along = h}).y); });
            CHECK(test::dot(some, with.vy) == doctest::Approx(exact).epsilon(1e-8));
            CHECK(std::all_of(with.vy.begin() + m * p.y_size, with.vy.end(), [](double each) { return each == 99; }));
        }
}

TEST_CASE("image_block: dx and dcondition are the transpose, gradients of each parameter are derivatives, what adds adds") {
    for (problem const& p : problems) {
        CAPTURE(&p - problems);
        auto const all = p.run({.m = 2}), added = p.run({.add = true});
        values const dc = test::cut(all.dc, p.stride, 0, p.block.condition_size()),
                     rest = test::cut(all.dc, p.stride, p.block.condition_size(), p.stride),
                     vc = test::cut(p.vc, p.stride, 0, p.block.condition_size());
        CHECK(std::all_of(rest.begin(), rest.end(), [](double each) { return each == 99; }));
        CHECK(test::dot(all.dx, p.vx) + test::dot(dc, vc) == doctest::Approx(test::dot(p.dy, all.vy)).epsilon(1e-11));
        CHECK(test::relative_difference(added.dx, test::along(p.onto, 1, all.dx)) < 1e-12);
        CHECK(test::hash(added.gradients) == test::hash(all.gradients));
        test::check_parameter_gradients(p.list, p.weights, test::along(all.gradients, -1, p.start),
                                        [&](values const& weights) { return test::dot(p.dy, p.run({.weights = &weights}).y); });
    }
}

TEST_CASE("image_block: two tensors are one that was cut") {
    problem one = problems[2], two = problems[2];
    one.a = one.in;
    auto const a = one.run({.m = 1}), b = two.run({.m = 1});
    CHECK(test::relative_difference(b.y, a.y) < 1e-13);
    CHECK(test::relative_difference(b.vy, a.vy) < 1e-13);
    CHECK(test::relative_difference(b.dx, a.dx) < 1e-13);
    CHECK(test::relative_difference(b.gradients, a.gradients) < 1e-13);
}

}  // namespace
}  // namespace onestep::image_block_tests
