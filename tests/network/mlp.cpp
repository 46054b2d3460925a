#include <doctest/doctest.h>
#include <onestep/network/check.hpp>
#include <onestep/network/conditioned.hpp>
#include <onestep/network/mlp.hpp>

#include <thread>

#include "counting_allocator.hpp"
#include "network/values.hpp"
#include "test_backend.hpp"

namespace onestep::mlp_tests {
namespace {

using test::backend_type;
using test::device;
using net_float = mlp<float, backend_type>;
using net_double = mlp<double, backend_type>;

/// Parameters that are not zero anywhere, the same for every scalar.
template <class Net> void disturb(Net& net, double deviation = 0.1) {
    auto const all = to_host(net.parameters());
    auto const other = test::along(all, deviation, test::normals<scalar_of<Net>>(net.parameters().size(), 77));
    net.parameters().backend().upload(other.data(), net.parameters().size(), net.parameters().data());
}

template <class T, class Backend = backend_type> struct batch_of {
    batch_of(Backend& on, index_t n, shape const& sample)
        : x(on, rows_of(n, sample), test::normals<T>(n * sample.size(), 1)), y(on, x.shape()), vy(on, x.shape()),
          dy(on, x.shape(), test::normals<T>(n * sample.size(), 2)), t(on, {n}, times(n, 0.9)), s(on, {n}, times(n, 0.4)) {}

    static shape rows_of(index_t n, shape const& sample) {
        index_t extents[shape::max_rank] = {n};
        std::copy(sample.begin(), sample.end(), extents + 1);
        return {extents, sample.rank() + 1};
    }
    static std::vector<T> times(index_t n, double last) {
        std::vector<T> t(static_cast<std::size_t>(n));
        for (index_t r = 0; r < n; ++r) t[r] = static_cast<T>(last * static_cast<double>(r + 1) / static_cast<double>(n));
        return t;
    }
    tensor<T, Backend> x, y, vy, dy, t, s;
};

TEST_CASE("mlp: derivatives and promises hold for every kind of input and odd sizes") {
    struct {
        shape data;
        int width, blocks, embedding, classes;
        bool second_time;
        int features;
    } const cases[] = {
        {{2}, 16, 1, 0, 0, false, 8},      {{3, 2}, 7, 2, 12, 0, true, 10}, {{5}, 33, 1, 5, 3, false, 6},
        {{2, 2, 1}, 1, 3, 40, 2, true, 2}, {{1}, 24, 4, 0, 1, false, 64},
    };
    for (auto const& c : cases)
        for (auto kind : {time_features::kind::sinusoidal, time_features::kind::fourier}) {
            CAPTURE(c.width);
            net_double net(device(), {.data = c.data,
                                      .width = c.width,
                                      .blocks = c.blocks,
                                      .embedding = c.embedding,
                                      .time = {.features = kind, .size = c.features, .scale = 3},
                                      .classes = c.classes,
                                      .second_time = c.second_time});
            check_options const options{.data = c.data, .second_time = c.second_time};
            auto const check = [&](auto&& network) {
                auto const gradients = check_gradients(network, options), jvp = check_jvp(network, options);
                CHECK_MESSAGE(gradients.ok(), to_string(gradients));
                CHECK_MESSAGE(jvp.ok(), to_string(jvp));
                CHECK(gradients.worst < 1e-7);
                CHECK(jvp.worst < 1e-7);
            };
            check(net);  // with classes: every row is of class "none"
            if (c.classes > 0) {
                auto const labels = class_labels(device(), {0, c.classes - 1, c.classes / 2}, c.classes);
                check(conditioned{net, labels});
            }
        }
}

TEST_CASE("mlp: float passes the looser check and is close to double") {
    mlp_options const options{.data = {4}, .width = 48, .blocks = 2, .time = {.scale = 10}};
    net_float in_float(device(), options);
    auto const gradients = check_gradients(in_float, {.data = {4}}), jvp = check_jvp(in_float, {.data = {4}});
    CHECK_MESSAGE(gradients.ok(), to_string(gradients));
    CHECK_MESSAGE(jvp.ok(), to_string(jvp));

    net_double in_double(device(), options);
    disturb(in_float);
    auto const parameters = to_host(in_float.parameters());
    std::vector<double> const same(parameters.begin(), parameters.end());
    device().upload(same.data(), in_double.parameters().size(), in_double.parameters().data());
    batch_of<float> a(device(), 6, {4});
    batch_of<double> b(device(), 6, {4});
    in_float(a.x, a.t, a.y);
    in_double(b.x, b.t, b.y);
    auto const y = a.y.to_host();
    CHECK(test::relative_difference(std::vector<double>(y.begin(), y.end()), b.y.to_host()) < 1e-5);
}

TEST_CASE("mlp: a network starts as the zero function, and its seed decides the rest") {
    net_float net(device(), {.data = {3}, .width = 20, .seed = 1});
    batch_of<float> at(device(), 4, {3});
    net(at.x, at.t, at.y);
    CHECK(at.y.to_host() == std::vector<float>(12, 0.0f));
    CHECK(to_host(net.gradients()) == std::vector<float>(static_cast<std::size_t>(net.gradients().size()), 0.0f));
    CHECK(to_host(net_float(device(), {.data = {3}, .width = 20, .seed = 1}).parameters()) == to_host(net.parameters()));
    CHECK(to_host(net_float(device(), {.data = {3}, .width = 20, .seed = 2}).parameters()) != to_host(net.parameters()));
}

TEST_CASE("mlp: names and shapes of parameters are those that checkpoints carry") {
    net_float net(device(), {.data = {2, 3}, .width = 4, .blocks = 2, .time = {.size = 6}, .classes = 5, .second_time = true});
    std::string text;
    index_t next = 0;
    for (parameter const& p : net.names()) {
        CHECK(p.offset == next);
        next += p.extents.size();
        text += p.name + to_string(p.extents) + " ";
    }
    CHECK(next == net.parameters().size());
    CHECK(text ==
          "time.first.weight[4, 12] time.first.bias[4] time.second.weight[4, 4] time.second.bias[4] class.weight[4, 6] "
          "in.weight[4, 6] in.bias[4] condition.weight[8, 4] "
          "blocks.0.first.weight[4, 4] blocks.0.first.bias[4] blocks.0.second.weight[4, 4] blocks.0.second.bias[4] "
          "blocks.1.first.weight[4, 4] blocks.1.first.bias[4] blocks.1.second.weight[4, 4] blocks.1.second.bias[4] "
          "out.weight[6, 4] out.bias[6] ");
}

TEST_CASE("mlp: a label selects its own embedding, and no label the one for none") {
    net_double net(device(), {.data = {2}, .width = 8, .classes = 2, .seed = 3});
    disturb(net);
    batch_of<double> at(device(), 2, {2});
    std::vector<double> const one_row = {0.3, -0.7};
    at.x = {device(), {2, 2}, {0.3, -0.7, 0.3, -0.7}};
    at.t = {device(), {2}, {0.5, 0.5}};
    auto const y_of = [&](std::vector<std::int32_t> labels) {
        tensor<std::int32_t, backend_type> const l(device(), {2}, labels);
        net(at.x, at.t, l.view(), at.y);
        return at.y.to_host();
    };
    auto const y01 = y_of({0, 1}), y10 = y_of({1, 0}), none_none = y_of({2, 2});
    CHECK(y01[0] == doctest::Approx(y10[2]).epsilon(1e-13));
    CHECK(y01[2] == doctest::Approx(y10[0]).epsilon(1e-13));
    CHECK(std::fabs(y01[0] - y01[2]) > 1e-5);
    net(at.x, at.t, at.y);
    CHECK(test::relative_difference(at.y.to_host(), none_none) < 1e-14);
    CHECK(std::fabs(none_none[0] - y01[0]) > 1e-5);
}

TEST_CASE("mlp: a copy owns its parameters, and a moved network goes on") {
    net_float net(device(), {.data = {3}, .width = 16});
    disturb(net);
    batch_of<float> at(device(), 4, {3});
    net(at.x, at.t, at.y);
    auto const before = at.y.to_host();

    net_float copy(net);
    CHECK(copy.parameters().data() != net.parameters().data());
    CHECK(copy.gradients().data() != net.gradients().data());
    disturb(net, 0.5);
    copy(at.x, at.t, at.y);
    CHECK(at.y.to_host() == before);
    net(at.x, at.t, at.y);
    CHECK(at.y.to_host() != before);
    copy.forward(at.x, at.t, at.y);
    copy.backward(at.dy);
    CHECK(test::dot(to_host(copy.gradients()), to_host(copy.gradients())) > 0);
    CHECK(test::dot(to_host(net.gradients()), to_host(net.gradients())) == 0);

    net_float moved(std::move(copy));
    moved.forward(at.x, at.t, at.y);
    CHECK(at.y.to_host() == before);
    moved.backward(at.dy);
}

TEST_CASE("mlp: shapes that do not fit are refused before anything is written") {
    net_float net(device(), {.data = {4}, .width = 8}), image(device(), {.data = {2, 2, 1}, .width = 8});
    batch_of<float> at(device(), 3, {4}), wrong(device(), 3, {5});
    std::vector<float> const sentinel(12, 42.0f);
    at.y = {device(), {3, 4}, sentinel};
    CHECK_THROWS_WITH_AS(net(wrong.x, at.t, at.y), "shape_error: mlp: x is [3, 5], this network takes [n, 4]", shape_error);
    CHECK_THROWS_WITH_AS(image(at.x, at.t, at.y), "shape_error: mlp: x is [3, 4], this network takes [n, 2, 2, 1]", shape_error);
    CHECK_THROWS_WITH_AS(net(at.x, at.t, wrong.y), "shape_error: mlp: y is [3, 5], it must have x's shape [3, 4]", shape_error);
    tensor<float, backend_type> const two(device(), {2});
    CHECK_THROWS_WITH_AS(net(at.x, two, at.y), "shape_error: mlp: t is [2], it must be [3]", shape_error);
    CHECK_THROWS_WITH_AS(net.forward(wrong.x, at.t, at.y), "shape_error: mlp: x is [3, 5], this network takes [n, 4]", shape_error);
    CHECK_THROWS_WITH_AS(net.jvp(at.x, wrong.x, at.t, at.t, at.y, at.vy), "shape_error: mlp: vx is [3, 5], it must be [3, 4]", shape_error);
    CHECK_THROWS_WITH_AS(net.jvp(at.x, at.x, at.t, two, at.y, at.vy), "shape_error: mlp: vt is [2], it must be [3]", shape_error);
    CHECK_THROWS_WITH_AS(net.jvp(at.x, at.x, at.t, at.t, at.y, wrong.vy), "shape_error: mlp: vy is [3, 5], it must be [3, 4]", shape_error);
    CHECK(at.y.to_host() == sentinel);
}

TEST_CASE("mlp: a network refuses the call forms it was not made for") {
    net_float plain(device(), {.data = {4}, .width = 8}), two(device(), {.data = {4}, .width = 8, .classes = 2, .second_time = true});
    batch_of<float> at(device(), 3, {4});
    tensor<std::int32_t, backend_type> const labels(device(), {3}, {0, 1, 0}), too_few(device(), {2}, {0, 1});
    CHECK_THROWS_WITH_AS(plain(at.x, at.t, labels.view(), at.y),
                         "shape_error: mlp: labels were given, this network was made with classes = 0", shape_error);
    CHECK_THROWS_WITH_AS(plain(at.x, at.t, at.s, at.y),
                         "shape_error: mlp: a second time s was given, this network is called as net(x, t, y)", shape_error);
    CHECK_THROWS_WITH_AS(two(at.x, at.t, at.y), "shape_error: mlp: no second time s was given, this network is called as net(x, t, s, y)",
                         shape_error);
    CHECK_THROWS_WITH_AS(two(at.x, at.t, at.s, too_few.view(), at.y), "shape_error: mlp: labels is [2], it must be [3]", shape_error);
    tensor<float, backend_type> const short_s(device(), {2});
    CHECK_THROWS_WITH_AS(two(at.x, at.t, short_s, at.y), "shape_error: mlp: s is [2], it must be [3]", shape_error);
    CHECK_THROWS_WITH_AS(two.jvp(at.x, at.x, at.t, at.t, at.s, short_s, at.y, at.vy), "shape_error: mlp: vs is [2], it must be [3]",
                         shape_error);
}

TEST_CASE("mlp: options outside their range are refused") {
    CHECK_THROWS_WITH_AS(net_float(device(), {.width = 0}), "domain_error: mlp: width is 0, it must be at least 1", domain_error);
    CHECK_THROWS_WITH_AS(net_float(device(), {.blocks = 0}), "domain_error: mlp: blocks is 0, it must be at least 1", domain_error);
    CHECK_THROWS_WITH_AS(net_float(device(), {.classes = -1}), "domain_error: mlp: classes is -1, it must not be negative", domain_error);
    CHECK_THROWS_WITH_AS(net_float(device(), {.data = {3, 0}}), "shape_error: mlp: data is [3, 0], a sample has at least one element",
                         shape_error);
    CHECK_THROWS_AS(net_float(device(), {.time = {.size = 3}}), domain_error);
    CHECK(to_string(mlp_options{}) ==
          "mlp{data = [2], width = 256, blocks = 3, embedding = 0, time = time_features{features = sinusoidal, size = 64, scale = " +
              to_string(1000.0) +
              "}, "
              "classes = 0, second_time = false}");
}

TEST_CASE("mlp: backward needs a forward of the same shape, and takes it once") {
    net_float net(device(), {.data = {4}, .width = 8});
    batch_of<float> at(device(), 3, {4}), other(device(), 2, {4});
    CHECK_THROWS_WITH_AS(net.backward(at.dy), "shape_error: mlp: backward was given dy [3, 4], no forward is waiting for it", shape_error);
    net.forward(at.x, at.t, at.y);
    CHECK_THROWS_WITH_AS(net.backward(other.dy), "shape_error: mlp: backward was given dy [2, 4], the forward that waits has [3, 4]",
                         shape_error);
    net.backward(at.dy);
    auto const gradients = to_host(net.gradients());
    CHECK(test::dot(gradients, gradients) > 0);
    CHECK_THROWS_WITH_AS(net.backward(at.dy), "shape_error: mlp: backward was given dy [3, 4], no forward is waiting for it", shape_error);
    CHECK(to_host(net.gradients()) == gradients);
}

TEST_CASE("mlp: an empty batch is fine") {
    net_float net(device(), {.data = {4}, .width = 8});
    batch_of<float> at(device(), 0, {4});
    net(at.x, at.t, at.y);
    net.jvp(at.x, at.x, at.t, at.t, at.y, at.vy);
    CHECK(at.y.size() == 0);
}

TEST_CASE("mlp: four threads at once give what one gives") {
    net_float net(device(), {.data = {6}, .width = 40});
    disturb(net);
    constexpr int threads = 4;
    std::vector<std::vector<float>> alone, together(threads);
    std::vector<batch_of<float>> batches;
    for (int i = 0; i < threads; ++i) {
        batches.emplace_back(device(), 5 + i, shape{6});
        auto& at = batches.back();
        net(at.x, at.t, at.y);
        alone.push_back(at.y.to_host());
    }
    device().synchronize();
    std::vector<std::thread> running;
    for (int i = 0; i < threads; ++i)
        running.emplace_back([&, i] {
            auto& at = batches[static_cast<std::size_t>(i)];
            for (int repeat = 0; repeat < 20; ++repeat) net(at.x, at.t, at.y);
            together[static_cast<std::size_t>(i)] = at.y.to_host();
        });
    for (auto& thread : running) thread.join();
    for (int i = 0; i < threads; ++i) CHECK(together[static_cast<std::size_t>(i)] == alone[static_cast<std::size_t>(i)]);
}

TEST_CASE("mlp: an evaluation between forward and backward changes no bit") {
    net_float net(device(), {.data = {6}, .width = 40});
    disturb(net);
    batch_of<float> at(device(), 5, {6}), other(device(), 9, {6});
    net.forward(at.x, at.t, at.y);
    net.backward(at.dy);
    auto const once = to_host(net.gradients());
    std::vector<float> const zero(once.size());
    device().upload(zero.data(), net.gradients().size(), net.gradients().data());
    net.forward(at.x, at.t, at.y);
    net(other.x, other.t, other.y);
    net.jvp(other.x, other.dy, other.t, other.t, other.y, other.vy);
    net.backward(at.dy);
    CHECK(to_host(net.gradients()) == once);
}

TEST_CASE("mlp: forward_jvp is forward, and jvp of the first rows, whatever the call") {
    struct {
        int classes;
        bool second_time, labelled, with_vs;
    } const cases[] = {{0, false, false, false}, {3, false, false, false}, {3, false, true, false},
                       {0, true, false, true},   {0, true, false, false},  {3, true, true, true}};
    index_t const n = 7;
    for (auto const& c : cases) {
        CAPTURE(c.classes);
        CAPTURE(c.second_time);
        net_double net(device(), {.data = {3},
                                  .width = 11,
                                  .blocks = 2,
                                  .embedding = 5,
                                  .time = {.size = 6, .scale = 3},
                                  .classes = c.classes,
                                  .second_time = c.second_time});
        disturb(net, 0.3);
        batch_of<double> at(device(), n, {3});
        tensor<double, backend_type> const vx(device(), {n, 3}, test::normals<double>(n * 3, 3)),
            vt(device(), {n}, test::normals<double>(n, 4)), vs(device(), {n}, test::normals<double>(n, 5));
        tensor<std::int32_t, backend_type> const labels(device(), {n}, {0, 1, 2, 3, 2, 1, 0});
        using input = net_double::input;
        auto const tangent_of_s = [&](index_t k) { return c.with_vs ? input(vs.view().rows(0, k)) : input(); };
        auto const zero = [&] {
            device().upload(std::vector<double>(net.gradients().size()).data(), net.gradients().size(), net.gradients().data());
        };
        auto const forward = [&] {
            if (c.second_time && c.labelled) net.forward(at.x, at.t, at.s, labels.view(), at.y);
            else if (c.second_time) net.forward(at.x, at.t, at.s, at.y);
            else if (c.labelled) net.forward(at.x, at.t, labels.view(), at.y);
            else net.forward(at.x, at.t, at.y);
        };
        auto const jvp = [&] {
            if (c.second_time && c.labelled) net.jvp(at.x, vx, at.t, vt, at.s, tangent_of_s(n), labels.view(), at.y, at.vy);
            else if (c.second_time) net.jvp(at.x, vx, at.t, vt, at.s, tangent_of_s(n), at.y, at.vy);
            else if (c.labelled) net.jvp(at.x, vx, at.t, vt, labels.view(), at.y, at.vy);
            else net.jvp(at.x, vx, at.t, vt, at.y, at.vy);
        };
        auto const forward_jvp = [&](index_t k) {
            input const x = vx.view().rows(0, k), t = vt.view().rows(0, k);
            if (c.second_time && c.labelled) net.forward_jvp(at.x, x, at.t, t, at.s, tangent_of_s(k), labels.view(), at.y, at.vy);
            else if (c.second_time) net.forward_jvp(at.x, x, at.t, t, at.s, tangent_of_s(k), at.y, at.vy);
            else if (c.labelled) net.forward_jvp(at.x, x, at.t, t, labels.view(), at.y, at.vy);
            else net.forward_jvp(at.x, x, at.t, t, at.y, at.vy);
        };
        zero();
        forward();
        auto const y = at.y.to_host();
        net.backward(at.dy);
        auto const gradients = to_host(net.gradients());
        jvp();
        auto const vy = at.vy.to_host();
        CHECK(test::dot(vy, vy) > 1e-2);
        for (index_t k : {n, index_t(1), index_t(4)}) {
            CAPTURE(k);
            std::vector<double> const sentinel(static_cast<std::size_t>(n * 3), 42.0);
            device().upload(sentinel.data(), n * 3, at.vy.data());
            zero();
            forward_jvp(k);
            CHECK(at.y.to_host() == y);
            auto const first = at.vy.to_host();
            std::vector<double> const part(first.begin(), first.begin() + k * 3), wanted(vy.begin(), vy.begin() + k * 3);
            CHECK(test::relative_difference(part, wanted) < 1e-13);
            for (std::size_t i = static_cast<std::size_t>(k * 3); i < first.size(); ++i) CHECK(first[i] == 42);
            jvp();  // disturbs no forward that waits
            net.backward(at.dy);
            CHECK(to_host(net.gradients()) == gradients);
        }
    }
}

TEST_CASE("mlp: forward_jvp refuses shapes that do not fit") {
    net_double net(device(), {.data = {4}, .width = 8}), two(device(), {.data = {4}, .width = 8, .second_time = true});
    batch_of<double> at(device(), 3, {4}), wrong(device(), 3, {5}), other(device(), 2, {4});
    CHECK_THROWS_WITH_AS(net.forward_jvp(wrong.x, at.x, at.t, at.t, at.y, at.vy),
                         "shape_error: mlp: x is [3, 5], this network takes [n, 4]", shape_error);
    CHECK_THROWS_WITH_AS(net.forward_jvp(at.x, wrong.x, at.t, at.t, at.y, at.vy), "shape_error: mlp: vx is [3, 5], it must be [3, 4]",
                         shape_error);
    CHECK_THROWS_WITH_AS(net.forward_jvp(at.x, other.x, at.t, at.t, at.y, at.vy), "shape_error: mlp: vt is [3], it must be [2]",
                         shape_error);
    CHECK_THROWS_WITH_AS(two.forward_jvp(at.x, other.x, at.t, other.t, at.s, at.s, at.y, at.vy),
                         "shape_error: mlp: vs is [3], it must be [2]", shape_error);
    CHECK_THROWS_AS(net.backward(at.dy), shape_error);  // none of them left a forward that waits
}

/// Plain gradient descent on sum of y^2 / 2 - dy y for five steps: a few numbers that involve everything.
template <class T> double five_steps(std::vector<T>& last) {
    mlp<T, backend_type> net(device(), {.data = {6}, .width = 24, .blocks = 2, .time = {.size = 16, .scale = 20}, .classes = 3, .seed = 9});
    disturb(net);
    batch_of<T> at(device(), 10, {6});
    tensor<std::int32_t, backend_type> const labels(device(), {10}, {0, 1, 2, 0, 1, 2, 0, 1, 2, 3});
    auto const target = at.dy.to_host();
    double loss = 0;
    for (int step = 0; step < 5; ++step) {
        std::vector<T> const zero(static_cast<std::size_t>(net.gradients().size()));
        device().upload(zero.data(), net.gradients().size(), net.gradients().data());
        net.forward(at.x, at.t, labels.view(), at.y);
        auto const residual = test::along(at.y.to_host(), -1, target);
        loss = test::dot(residual, residual) / 60;
        device().upload(residual.data(), at.dy.size(), at.dy.data());
        net.backward(at.dy);
        auto const moved = test::along(to_host(net.parameters()), -0.01, to_host(net.gradients()));
        device().upload(moved.data(), net.parameters().size(), net.parameters().data());
    }
    net(at.x, at.t, labels.view(), at.y);
    last = at.y.to_host();
    return loss;
}

TEST_CASE("mlp: five steps of gradient descent end where they ended before, on every backend") {
    std::vector<float> y_float;
    std::vector<double> y_double;
    double const in_float = five_steps(y_float), in_double = five_steps(y_double);
    double const expected = 0.605509631016;
    CHECK(in_double == doctest::Approx(expected).epsilon(1e-9));
    CHECK(in_float == doctest::Approx(expected).epsilon(1e-4));
    CHECK(test::relative_difference(std::vector<double>(y_float.begin(), y_float.end()), y_double) < 1e-4);
}

#if !defined(ONESTEP_TEST_BACKEND_GPU)
TEST_CASE("mlp: bits do not depend on the number of threads") {
    std::uint64_t hashes[3][7] = {};
    for (int threads = 1; threads <= 3; ++threads) {
        cpu shared(threads);
        mlp<float, cpu> net(shared, {.data = {10}, .width = 96, .classes = 2});
        disturb(net);
        batch_of<float, cpu> at(shared, 257, {10});
        tensor<std::int32_t, cpu> const labels(shared, {257}, std::vector<std::int32_t>(257, 1));
        auto& h = hashes[threads - 1];
        net.forward(at.x, at.t, labels.view(), at.y);
        net.backward(at.dy);
        h[0] = test::hash(at.y.to_host());
        h[1] = test::hash(to_host(net.gradients()));
        net(at.x, at.t, labels.view(), at.y);
        h[2] = test::hash(at.y.to_host());
        net.jvp(at.x, at.dy, at.t, at.s, labels.view(), at.y, at.vy);
        h[3] = test::hash(at.vy.to_host());
        index_t const part = 100;  // of 257: some blocks of rows have tangents for some of their rows
        net.forward_jvp(at.x, at.dy.view().rows(0, part), at.t, at.s.view().rows(0, part), labels.view(), at.y, at.vy);
        h[4] = test::hash(at.y.to_host());
        h[5] = test::hash(at.vy.to_host());
        net.backward(at.dy);
        h[6] = test::hash(to_host(net.gradients()));
        CHECK(h[4] == h[0]);
    }
    for (int k = 0; k < 7; ++k) {
        CHECK(hashes[1][k] == hashes[0][k]);
        CHECK(hashes[2][k] == hashes[0][k]);
    }
}

TEST_CASE("mlp: a warm step, evaluation or jvp allocates nothing") {
    net_float net(device(), {.data = {6}, .width = 40, .classes = 2});
    batch_of<float> at(device(), 32, {6});
    tensor<std::int32_t, backend_type> const labels(device(), {32}, std::vector<std::int32_t>(32, 1));
    auto const step = [&] {
        net.forward(at.x, at.t, labels.view(), at.y);
        net.backward(at.dy);
        net(at.x, at.t, labels.view(), at.y);
        net.jvp(at.x, at.dy, at.t, at.s, labels.view(), at.y, at.vy);
        net.forward_jvp(at.x, at.dy, at.t, at.s, labels.view(), at.y, at.vy);
    };
    auto const cold = test::allocations();
    step();
    if (test::counts_allocations) CHECK(test::allocations() > cold);
    step();
    auto const warm = test::allocations();
    step();
    CHECK(test::allocations() == warm);
}
#endif

}  // namespace
}  // namespace onestep::mlp_tests
