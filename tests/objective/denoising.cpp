#include <onestep/objective/denoising.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/likelihood_weight.hpp>
#include <onestep/objective/snr_weighting.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/log_normal.hpp>
#include <onestep/time/logit_normal.hpp>
#include <onestep/time/uniform_angle.hpp>

#include "../counting_allocator.hpp"
#include "gradient.hpp"

namespace denoising_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

struct at_time {
    static constexpr char const* name = "at_time";
    double t = 0;
    double sample(process auto const&, random_stream, index_t) const { return t; }
    void fields(auto&& visit) const { visit("t", t); }
};

/// The problem of a batch, in host memory. Not inlined: GCC 12 takes a model of empty classes for uninitialised.
struct host_problem {
    std::vector<double> x, t, target;
    std::vector<regression_row<double>> rows;
};
template <class Objective, class Model>
[[gnu::noinline]] host_problem build(Objective const& objective, Model const& model, batch<double, backend_type> const& data,
                                     random_key key) {
    auto const memory = device().scratch();
    auto const p = objective.build(model, data, key, *memory);
    host_problem out{to_host(p.call.x), to_host(p.call.t), std::vector<double>(static_cast<std::size_t>(p.call.x.size())), {}};
    out.rows.resize(static_cast<std::size_t>(p.call.x.rows()));
    device().download(p.target, p.call.x.size(), out.target.data());
    device().download(p.rows, p.call.x.rows(), out.rows.data());
    CHECK(p.output == nullptr);
    return out;
}

/// What `target` is of one element, from its definition.
template <class Target> double value_of(Target const&, marginal const& m, double x0, double z) {
    if constexpr (std::same_as<Target, epsilon>) return z;
    else if constexpr (std::same_as<Target, onestep::x0>) return x0;
    else if constexpr (std::same_as<Target, v_prediction>) return m.alpha * z - m.sigma * x0;
    else if constexpr (std::same_as<Target, velocity>) return m.alpha_derivative * x0 + m.sigma_derivative * z;
    else if constexpr (std::same_as<Target, score>) return -z / m.sigma;
    else {
        static_assert(std::same_as<Target, edm_preconditioned>);
        double const se = m.sigma / m.alpha, total = se * se + 0.25, x = x0 + se * z;
        return (x0 - 0.25 / total * x) / (0.5 * se / std::sqrt(total));
    }
}

/// Rows, x_t and target of `space` for a model that predicts `target`: its ideal output has residual zero.
template <class Process, class Target, class Space> void check_build(Process const& process, Target const& target, Space const& space) {
    std::string const of = std::string(Process::name) + " " + Target::name + " " + Space::name;
    CAPTURE(of);
    random_key const key{8, 21};
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 3}, 4), noise = normal<double>(device(), {20, 3}, 5);
    auto net = lively_mlp<double>({.data = {3}, .width = 4, .blocks = 1});
    model const denoiser{net, process, target};
    logit_normal const density{.mean = -0.4, .deviation = 0.8};
    auto const p = build(denoising(space, squared{}, density, min_snr{}), denoiser, {x0.view(), noise.view()}, key);
    auto const z = noise.to_host(), clean = x0.to_host();
    bool right = true;
    for (std::size_t r = 0; r < 20; ++r) {
        double const time = density.sample(process, key.at(draw::time), static_cast<index_t>(r));
        marginal const m = marginal_at(process, time);
        double const scale = input_scale_of(target, m), snr = std::pow(m.alpha / m.sigma, 2);
        CHECK(p.t[r] == doctest::Approx(denoiser.input_at(time).time).epsilon(1e-14));
        // a residual of 1 in x0 is value_of(1, -alpha / sigma) in the space
        double const growth = value_of(space, m, 1, -m.alpha / m.sigma);
        CHECK(p.rows[r].weight == doctest::Approx(std::min(snr, 5.0) / (growth * growth)).epsilon(1e-9));
        for (std::size_t i = 3 * r; i < 3 * r + 3; ++i) {
            double const x = m.alpha * clean[i] + m.sigma * z[i], wanted = value_of(space, m, clean[i], z[i]);
            double const ideal = value_of(target, m, clean[i], z[i]);
            right = right && std::fabs(p.x[i] - scale * x) < 1e-12 * (1 + std::fabs(scale * x)) &&
                    std::fabs(p.target[i] - wanted) < 1e-11 * (1 + std::fabs(wanted)) &&
                    std::fabs(p.rows[r].a * p.x[i] + p.rows[r].b * ideal - wanted) < 1e-8 * (1 + std::fabs(wanted));
        }
    }
    CHECK(right);
}

/// E[x0 | x_t] and what follows from it, for data N(m, s^2) in every element: the network that minimises any of the losses.
struct exact_epsilon {
    double mean = 0.7, deviation = 0.4;
    tensor<double, backend_type> shift{device(), {1}, {0.0}}, gradient{device(), {1}, {0.0}};
    struct pass {
        double const *x, *t, *shift;
        double* y;
        double mean, deviation;
        index_t cols;
        ONESTEP_HD void operator()(index_t r, index_t c) const {
            double const alpha = 1 - t[r], sigma = t[r], variance = alpha * alpha * deviation * deviation + sigma * sigma;
            y[r * cols + c] = sigma * (x[r * cols + c] - alpha * mean) / variance + *shift;
        }
    };
    struct term {
        double const* dy;
        ONESTEP_HD double operator()(index_t, index_t i) const { return dy[i]; }
    };
    struct add {
        double* to;
        ONESTEP_HD void operator()(index_t, double sum) const { *to += sum; }
    };
    void operator()(view<double const, backend_type> x, view<double const, backend_type> t, view<double, backend_type> y) {
        device().for_each_pair(x.rows(), x.cols(), pass{x.data(), t.data(), shift.data(), y.data(), mean, deviation, x.cols()});
    }
    void forward(view<double const, backend_type> x, view<double const, backend_type> t, view<double, backend_type> y) { (*this)(x, t, y); }
    void backward(view<double const, backend_type> dy) {
        device().reduce_rows<double>(1, dy.size(), term{dy.data()}, add{gradient.data()});
    }
    view<double, backend_type> parameters() { return shift.view(); }
    view<double, backend_type> gradients() { return gradient.view(); }
};

}  // namespace

TEST_CASE("denoising: every space from every target, on three processes") {
    auto const spaces = [](auto const& process, auto const& target) {
        check_build(process, target, epsilon{});
        check_build(process, target, x0{});
        check_build(process, target, v_prediction{});
        check_build(process, target, velocity{});
        check_build(process, target, score{});
        check_build(process, target, edm_preconditioned{});
    };
    spaces(rectified_flow{}, velocity{});
    spaces(rectified_flow{}, epsilon{});
    spaces(variance_preserving{}, v_prediction{});
    spaces(variance_preserving{}, x0{});
    spaces(edm{}, edm_preconditioned{});
}

TEST_CASE("denoising: draws its noise from the key, and in velocity it is flow matching") {
    random_key const key{8, 21};
    tensor<double, backend_type> const x0 = normal<double>(device(), {40, 3}, 4);
    auto net = lively_mlp<double>({.data = {3}, .width = 6, .blocks = 1});
    model flow{net, variance_preserving{}, v_prediction{}};
    auto const a = build(denoising(velocity{}, squared{}, uniform_angle{}, min_snr{}), flow, {x0.view()}, key);
    auto const b = build(flow_matching(squared{}, uniform_angle{}, min_snr{}), flow, {x0.view()}, key);
    CHECK(a.x == b.x);
    CHECK(a.t == b.t);
    CHECK(a.target == b.target);
    tensor<double, backend_type> z(device(), {40, 3});
    fill_normal(z.view(), key.at(draw::noise));
    auto const given = build(denoising(velocity{}, squared{}, uniform_angle{}, min_snr{}), flow, {x0.view(), z.view()}, key);
    CHECK(given.x == a.x);
    CHECK(given.target == a.target);
    // rows do not depend on the batch around them
    auto const part = build(denoising(velocity{}, squared{}, uniform_angle{}, min_snr{}), flow, {x0.view().rows(30, 10)}, key.from_row(30));
    CHECK(part.x == std::vector<double>(a.x.begin() + 90, a.x.end()));
    CHECK(part.target == std::vector<double>(a.target.begin() + 90, a.target.end()));
}

TEST_CASE("denoising: losses with a weight on x0 are the same in all spaces") {
    random_key const key{3, 4};
    tensor<double, backend_type> const x0 = normal<double>(device(), {30, 2}, 4);
    auto net = lively_mlp<double>({.data = {2}, .width = 6, .blocks = 1});
    model flow{net, variance_preserving{}, v_prediction{}};
    auto const check = [&](auto const& weight) {
        std::vector<double> losses, gradients;
        auto const in = [&](auto const& space) {
            fill(net.gradients(), 0);
            losses.push_back(accumulate(denoising(space, squared{}, logit_normal{}, weight), flow, x0.view(), key).weighted);
            auto const now = to_host(net.gradients());
            if (!gradients.empty()) CHECK(relative_difference(now, gradients) < 1e-10);
            gradients = now;
        };
        in(network_output{});
        in(epsilon{});
        in(onestep::x0{});
        in(velocity{});
        in(score{});
        in(edm_preconditioned{});
        for (double loss : losses) CHECK(loss == doctest::Approx(losses.front()).epsilon(1e-11));
    };
    check(snr_weight{});
    check(min_snr{});
    check(likelihood_weight{});
    check(edm_weight{});
}

TEST_CASE("denoising: the gradient of its loss is that of difference quotients") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4);
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}, .classes = 3});
    auto const labels = class_labels(device(), {0, 1, 2, 0, 1, 2}, 3);
    batch<double, backend_type> const data{x0.view(), {}, labels.view()};
    model by_v{net, variance_preserving{}, v_prediction{}};
    model preconditioned{net, edm{}, edm_preconditioned{}};
    check_loss_gradient(denoising(epsilon{}, pseudo_huber{.c = 0.5}, logit_normal{}, truncated_snr{}), by_v, data, {});
    check_loss_gradient(denoising(network_output{}, squared{}, log_normal{}), preconditioned, data, {});
}

TEST_CASE("denoising: the exact network has no expected gradient, one that is wrong by a constant has") {
    index_t const n = 4000, d = 4;
    tensor<double, backend_type> x0 = normal<double>(device(), {n, d}, 4);
    std::vector<double> shifted = x0.to_host();
    for (double& v : shifted) v = 0.7 + 0.4 * v;
    device().upload(shifted.data(), n * d, x0.data());
    exact_epsilon net;
    model denoiser{net, rectified_flow{}, epsilon{}};
    denoising const objective(epsilon{}, squared{}, logit_normal{});
    accumulate(objective, denoiser, x0.view(), {5, 6});
    // dL/dshift is 2 / (n d) times a sum of n d residuals whose deviation is below 1
    double const bound = 5 * 2 / std::sqrt(static_cast<double>(n * d));  // one seed in a million fails
    CHECK(std::fabs(to_host(net.gradients())[0]) < bound);
    fill(net.gradients(), 0);
    fill(net.parameters(), 0.2);
    accumulate(objective, denoiser, x0.view(), {5, 6});
    CHECK(std::fabs(to_host(net.gradients())[0] - 0.4) < bound);
}

TEST_CASE("denoising: labels reach the network") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {3, 2}, 4);
    auto net = lively_mlp<double>({.data = {2}, .width = 5, .blocks = 1, .classes = 3});
    model denoiser{net, rectified_flow{}, velocity{}};
    auto const loss = [&](std::vector<std::int32_t> const& labels) {
        auto const on_device = class_labels(device(), labels, 3);
        return accumulate(denoising{}, denoiser, batch<double, backend_type>{x0.view(), {}, on_device.view()}, {1, 2}).weighted;
    };
    CHECK(loss({0, 1, 2}) == loss({0, 1, 2}));
    CHECK(loss({0, 1, 2}) != loss({0, 1, 1}));
}

TEST_CASE("denoising: refuses what is infinite or unknown, and noise of another shape") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), noise = normal<double>(device(), {3, 2}, 5);
    auto net = lively_mlp<double>({.data = {2}, .width = 4, .blocks = 1});
    auto const at = [&](auto const& model, auto const& space, double t, auto const& weight) {
        build(denoising(space, squared{}, at_time{t}, weight), model, {x0.view()}, {});
    };
    model const flow{net, rectified_flow{}, velocity{}};
    model const by_score{net, rectified_flow{}, score{}};
    model const by_epsilon{net, rectified_flow{}, epsilon{}};
    CHECK_THROWS_WITH_AS(build(denoising{}, flow, {x0.view(), noise.view()}, {}),
                         "shape_error: denoising: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(
        at(by_score, score{}, 0, unit_weight{}),
        "domain_error: denoising: t is 0 with alpha = 1, sigma = 0, score is infinite there; keep the density away from this time",
        domain_error);
    CHECK_THROWS_AS(at(flow, score{}, 0, unit_weight{}), domain_error);
    CHECK_THROWS_AS(at(by_epsilon, onestep::x0{}, 1, unit_weight{}), domain_error);
    CHECK_THROWS_AS(at(by_epsilon, epsilon{}, 1, truncated_snr{}), domain_error);
    CHECK_NOTHROW(at(by_epsilon, epsilon{}, 1, snr_weight{}));
    CHECK_NOTHROW(at(flow, v_prediction{}, 0, truncated_snr{}));
}

TEST_CASE("denoising: prints what decides it, and a warm call allocates nothing") {
    CHECK(to_string(denoising{}) ==
          "denoising{space = network_output{}, distance = squared{}, density = uniform_density{}, weight = "
          "unit_weight{}}");
    CHECK(to_string(denoising{epsilon{}, pseudo_huber{.c = 0.1}, logit_normal{.mean = 0.5}, snr_weight{}}) ==
          "denoising{space = epsilon{}, distance = pseudo_huber{c = 0.1}, density = logit_normal{mean = 0.5, deviation = 1}, weight = "
          "snr_weight{}}");
#if !defined(ONESTEP_TEST_BACKEND_GPU)
    if (!counts_allocations) return;
    tensor<double, backend_type> const x0 = normal<double>(device(), {40, 2}, 4);
    auto net = lively_mlp<double>({.data = {2}, .width = 4, .blocks = 1});
    model flow{net, rectified_flow{}, velocity{}};
    denoising const objective(epsilon{}, squared{}, logit_normal{}, min_snr{});
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, x0.view(), {1, k});
    std::size_t const before = allocations();
    accumulate(objective, flow, x0.view(), {1, 9});
    CHECK(allocations() == before);
#endif
}

}  // namespace denoising_tests
