#include <onestep/objective/flow_matching.hpp>

#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/discrete_density.hpp>
#include <onestep/time/log_normal.hpp>
#include <onestep/time/logit_normal.hpp>

#include "gradient.hpp"

namespace flow_matching_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// A density of one point.
struct at_the_end {
    static constexpr char const* name = "at_the_end";
    double sample(process auto const& p, random_stream, index_t) const { return p.t_max(); }
    void fields(auto&&) const {}
};
/// A weight that changes along the path.
struct rising {
    double operator()(double t) const { return 0.5 + t * t; }
};

/// The problem of a batch, in host memory. Not inlined: GCC 12 takes a model of empty classes for uninitialised.
template <class T> struct host_problem {
    std::vector<T> x, t, target;
    std::vector<regression_row<T>> rows;
};
template <class T, class Objective, class Model>
[[gnu::noinline]] host_problem<T> build(Objective const& objective, Model const& model, batch<T, backend_type> const& data,
                                        random_key key) {
    auto const memory = device().scratch();
    auto const p = objective.build(model, data, key, *memory);
    host_problem<T> out{to_host(p.call.x), to_host(p.call.t), std::vector<T>(static_cast<std::size_t>(p.call.x.size())), {}};
    out.rows.resize(static_cast<std::size_t>(p.call.x.rows()));
    device().download(p.target, p.call.x.size(), out.target.data());
    device().download(p.rows, p.call.x.rows(), out.rows.data());
    return out;
}

/// alpha, sigma and their derivatives at t, and u = a x + b F for each target.
template <class Target> void check_rows(host_problem<float> const& p, std::size_t r, double t) {
    CHECK(p.t[r] == static_cast<float>(t));
    CHECK(p.rows[r].alpha == static_cast<float>(1 - t));
    CHECK(p.rows[r].sigma == static_cast<float>(t));
    CHECK(p.rows[r].target_x0 == -1);
    CHECK(p.rows[r].target_epsilon == 1);
    double a = 0, b = 1;
    if (std::is_same_v<Target, x0>) a = 1 / t, b = -1 / t;                   // u = (x - x0) / t
    if (std::is_same_v<Target, epsilon>) a = -1 / (1 - t), b = 1 / (1 - t);  // u = (epsilon - x) / (1 - t)
    CHECK(p.rows[r].a == doctest::Approx(a).epsilon(1e-6));
    CHECK(p.rows[r].b == doctest::Approx(b).epsilon(1e-6));
}

template <class Target, class Density> void check_build(Density const& density) {
    CAPTURE(Target::name);
    random_key const key{8, 21};
    tensor<float, backend_type> const x0 = normal<float>(device(), {150, 6}, 4);
    auto net = lively_mlp<float>({.data = {6}, .width = 4, .blocks = 1});
    model const flow{net, rectified_flow{}, Target{}};
    auto const p = build<float>(flow_matching(squared{}, density, time_weight(rising{})), flow, batch<float, backend_type>{x0.view()}, key);
    tensor<float, backend_type> z(device(), {150, 6});
    fill_normal(z.view(), key.at(draw::noise));
    auto const noise = z.to_host(), clean = x0.to_host();
    bool same = true;
    for (std::size_t r = 0; r < 150; ++r) {
        double t = uniform(key.at(draw::time), static_cast<index_t>(r));
        if constexpr (std::is_same_v<Density, logit_normal>)
            t = 1 / (1 + std::exp(-(density.mean +
                                    density.deviation * static_cast<double>(normal_deviate(key.at(draw::time), static_cast<index_t>(r))))));
        check_rows<Target>(p, r, t);
        CHECK(p.rows[r].weight == static_cast<float>(0.5 + t * t));
        for (std::size_t i = 6 * r; i < 6 * r + 6; ++i) {
            float const alpha = static_cast<float>(1 - t), sigma = static_cast<float>(t);
            same = same && p.x[i] == std::fma(alpha, clean[i], sigma * noise[i]) && p.target[i] == noise[i] - clean[i];
        }
    }
    CHECK(same);
}

}  // namespace

TEST_CASE("flow_matching: builds x_t, t, target and rows from the streams of its key") {
    check_build<velocity>(uniform_density{});
    check_build<x0>(uniform_density{});
    check_build<epsilon>(uniform_density{});
    check_build<velocity>(logit_normal{.mean = -0.4, .deviation = 1.2});
}

TEST_CASE("flow_matching: a preconditioned network reads the scaled state and its own clock, and its ideal output gives the velocity") {
    random_key const key{8, 21};
    tensor<double, backend_type> const x0 = normal<double>(device(), {40, 3}, 4), noise = normal<double>(device(), {40, 3}, 5);
    auto net = lively_mlp<double>({.data = {3}, .width = 4, .blocks = 1});
    batch<double, backend_type> const data{x0.view(), noise.view()};
    auto const p =
        build<double>(flow_matching(squared{}, log_normal{}), model{net, edm{}, edm_preconditioned{.sigma_data = 0.5}}, data, key);
    auto const z = noise.to_host(), clean = x0.to_host();
    for (std::size_t r = 0; r < 40; ++r) {
        double const n = static_cast<double>(normal_deviate(key.at(draw::time), static_cast<index_t>(r))), level = std::exp(-1.2 + 1.2 * n);
        CHECK(p.t[r] == doctest::Approx(std::log(level) / 4).epsilon(1e-12));
        double const total = level * level + 0.25, skip = 0.25 / total, out = 0.5 * level / std::sqrt(total);
        for (std::size_t i = 3 * r; i < 3 * r + 3; ++i) {
            double const x = clean[i] + level * z[i], ideal = (clean[i] - skip * x) / out;
            CHECK(p.x[i] == doctest::Approx(x / std::sqrt(total)).epsilon(1e-12));
            CHECK(p.rows[r].a * p.x[i] + p.rows[r].b * ideal == doctest::Approx(p.target[i]).epsilon(1e-9));
            CHECK(p.target[i] == doctest::Approx(z[i]).epsilon(1e-12));
        }
    }
    auto const table = build<double>(flow_matching(squared{}, discrete_density{}), model{net, discrete{}, v_prediction{}}, data, key);
    for (double t : table.t) {  // the literature's index
        CHECK(t == std::floor(t));
        CHECK(t >= 0);
        CHECK(t <= 999);
    }
}

TEST_CASE("flow_matching: uses the noise of pairs") {
    random_key const key{8, 21};
    tensor<float, backend_type> const x0 = normal<float>(device(), {9, 5}, 4), noise = normal<float>(device(), {9, 5}, 77);
    auto net = lively_mlp<float>({.data = {5}, .width = 4, .blocks = 1});
    auto const p =
        build<float>(flow_matching{}, model{net, rectified_flow{}, velocity{}}, batch<float, backend_type>{x0.view(), noise.view()}, key);
    auto const z = noise.to_host(), clean = x0.to_host();
    for (std::size_t i = 0; i < 45; ++i) {
        double const t = uniform(key.at(draw::time), static_cast<index_t>(i / 5));
        CHECK(p.x[i] == std::fma(static_cast<float>(1 - t), clean[i], static_cast<float>(t) * z[i]));
        CHECK(p.target[i] == z[i] - clean[i]);
    }
}

TEST_CASE("flow_matching: a row sees the same numbers in any batch") {
    tensor<float, backend_type> const x0 = normal<float>(device(), {64, 5}, 4);
    auto net = lively_mlp<float>({.data = {5}, .width = 4, .blocks = 1});
    model const flow{net, rectified_flow{}, velocity{}};
    auto const all = build<float>(flow_matching{}, flow, batch<float, backend_type>{x0.view()}, random_key{8, 21});
    for (index_t r : {0, 1, 17, 63}) {
        CAPTURE(r);
        auto const one =
            build<float>(flow_matching{}, flow, batch<float, backend_type>{x0.view().rows(r, 1)}, random_key{8, 21}.from_row(r));
        std::size_t const at = static_cast<std::size_t>(r);
        CHECK(one.t[0] == all.t[at]);
        CHECK(one.x == std::vector<float>(all.x.begin() + r * 5, all.x.begin() + r * 5 + 5));
        CHECK(one.target == std::vector<float>(all.target.begin() + r * 5, all.target.begin() + r * 5 + 5));
    }
    auto const other = build<float>(flow_matching{}, flow, batch<float, backend_type>{x0.view()}, random_key{8, 22});
    CHECK(other.t[0] != all.t[0]);
    CHECK(other.target[0] != all.target[0]);
}

TEST_CASE("flow_matching: the gradient of its loss is that of difference quotients") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4), noise = normal<double>(device(), {6, 2}, 5);
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4}});
    batch<double, backend_type> const clean{x0.view()}, pairs{x0.view(), noise.view()};
    random_key const key{8, 21};
    model by_velocity{net, rectified_flow{}, velocity{}};
    model by_x0{net, rectified_flow{}, onestep::x0{}};
    model by_epsilon{net, rectified_flow{}, epsilon{}};
    SUBCASE("squared") { check_loss_gradient(flow_matching{}, by_velocity, clean, key); }
    SUBCASE("pseudo-Huber") { check_loss_gradient(flow_matching{pseudo_huber{.c = 0.5}}, by_velocity, clean, key); }
    SUBCASE("logit-normal") { check_loss_gradient(flow_matching{squared{}, logit_normal{}}, by_velocity, clean, key); }
    SUBCASE("weighted") {
        check_loss_gradient(flow_matching{squared{}, uniform_density{}, time_weight{rising{}}}, by_velocity, clean, key);
    }
    SUBCASE("weighted pseudo-Huber on pairs") {
        check_loss_gradient(flow_matching{pseudo_huber{.c = 0.5}, logit_normal{}, time_weight{rising{}}}, by_velocity, pairs, key);
    }
    SUBCASE("x0") { check_loss_gradient(flow_matching{squared{}, logit_normal{}}, by_x0, clean, key); }
    SUBCASE("epsilon") { check_loss_gradient(flow_matching{squared{}, logit_normal{}}, by_epsilon, clean, key); }
    SUBCASE("x0 by pseudo-Huber") {
        check_loss_gradient(flow_matching{pseudo_huber{.c = 0.5}, logit_normal{}, time_weight{rising{}}}, by_x0, clean, key);
    }
    SUBCASE("epsilon by pseudo-Huber") { check_loss_gradient(flow_matching{pseudo_huber{.c = 0.5}}, by_epsilon, pairs, key); }
}

TEST_CASE("flow_matching: its loss is the formula") {
    random_key const key{8, 21};
    index_t const n = 40, d = 3;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, d}, 4);
    auto net = lively_mlp<double>({.data = {3}, .width = 5, .blocks = 1});
    tensor<double, backend_type> z(device(), {n, d}), x(device(), {n, d}), t(device(), {n}), f(device(), {n, d});
    fill_normal(z.view(), key.at(draw::noise));
    std::vector<double> times, mixed;
    auto const clean = x0.to_host(), noise = z.to_host();
    for (index_t i = 0; i < n * d; ++i) {
        double const time = uniform(key.at(draw::time), i / d);
        if (i % d == 0) times.push_back(time);
        mixed.push_back((1 - time) * clean[static_cast<std::size_t>(i)] + time * noise[static_cast<std::size_t>(i)]);
    }
    device().upload(times.data(), n, t.data());
    device().upload(mixed.data(), n * d, x.data());
    net(std::as_const(x).view(), std::as_const(t).view(), f.view());
    auto const output = f.to_host();
    double square = 0, weighted = 0, huber = 0;
    for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
        double s = 0;
        for (std::size_t i = 3 * r; i < 3 * r + 3; ++i) s += std::pow(output[i] - (noise[i] - clean[i]), 2);
        square += s / 3 / static_cast<double>(n);
        weighted += (0.5 + times[r] * times[r]) * s / 3 / static_cast<double>(n);
        huber += (std::sqrt(s + 0.25) - 0.5) / static_cast<double>(n);
    }
    model flow{net, rectified_flow{}, velocity{}};
    batch<double, backend_type> const data{x0.view()};
    loss_value const plain = accumulate(flow_matching{}, flow, data, key);
    CHECK(plain.plain == doctest::Approx(square).epsilon(1e-12));
    CHECK(plain.weighted == plain.plain);
    CHECK(static_cast<double>(plain) == plain.weighted);
    loss_value const both = accumulate(flow_matching{squared{}, uniform_density{}, time_weight{rising{}}}, flow, data, key);
    CHECK(both.plain == doctest::Approx(square).epsilon(1e-12));
    CHECK(both.weighted == doctest::Approx(weighted).epsilon(1e-12));
    CHECK(accumulate(flow_matching{pseudo_huber{.c = 0.5}}, flow, data, key).weighted == doctest::Approx(huber).epsilon(1e-12));
}

TEST_CASE("flow_matching: refuses noise of another shape and targets without a velocity") {
    tensor<float, backend_type> const x0 = normal<float>(device(), {4, 2}, 4), noise = normal<float>(device(), {3, 2}, 5);
    auto net = lively_mlp<float>({.data = {2}, .width = 4, .blocks = 1});
    auto const memory = device().scratch();
    model const flow{net, rectified_flow{}, velocity{}};
    batch<float, backend_type> const mismatched{x0.view(), noise.view()};
    CHECK_THROWS_WITH_AS(flow_matching{}.build(flow, mismatched, {}, *memory),
                         "shape_error: flow_matching: noise is [3, 2], it must be [4, 2]", shape_error);
    model const by_epsilon{net, rectified_flow{}, epsilon{}};
    batch<float, backend_type> const clean{x0.view()};
    CHECK_THROWS_AS(build<float>(flow_matching(squared{}, at_the_end{}), by_epsilon, clean, {}), domain_error);
    CHECK_THROWS_WITH_AS((flow_matching{squared{}, logit_normal{.deviation = 0}}.build(flow, clean, {}, *memory)),
                         "domain_error: logit_normal: deviation is 0, it must be > 0", domain_error);
}

TEST_CASE("flow_matching: prints what decides it") {
    CHECK(to_string(flow_matching{}) == "flow_matching{distance = squared{}, density = uniform_density{}, weight = unit_weight{}}");
    CHECK(to_string(flow_matching{pseudo_huber{.c = 0.1}, logit_normal{.mean = 0.5}}) ==
          "flow_matching{distance = pseudo_huber{c = 0.1}, density = logit_normal{mean = 0.5, deviation = 1}, weight = unit_weight{}}");
}

}  // namespace flow_matching_tests
