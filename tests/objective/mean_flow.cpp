#include <onestep/objective/mean_flow.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>

#include "../counting_allocator.hpp"
#include "../exact_average_velocity.hpp"
#include "frozen.hpp"
#include "two_times.hpp"

namespace mean_flow_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;

namespace {

/// The straight path with a network that is told 3 t + t^2 / 2.
struct other_clock : rectified_flow {
    double network_time(double t) const { return 3 * t + t * t / 2; }
};
/// The later time of a pair, as a density.
struct later_time {
    static constexpr char const* name = "later_time";
    sorted_pair<logit_normal> pairs{{-0.4, 1}};
    double sample(process auto const& p, random_stream s, index_t row) const { return pairs.sample(p, s, row, 0).t; }
    void fields(auto&&) const {}
};
/// t = 0.2, 0.3, ..., up to 1, and s = t / 2 or, where `together`, t.
struct steps {
    static constexpr char const* name = "steps";
    bool together = false;
    time_pair sample(process auto const& p, random_stream, index_t row, index_t) const {
        double const t = p.t_min() + (p.t_max() - p.t_min()) * std::fmin(0.2 + 0.1 * static_cast<double>(row), 1);
        return {t, together ? t : t / 2};
    }
    void fields(auto&&) const {}
};
/// An mlp that counts how it is asked.
struct counted_network : plain_two_time_network {
    int asked = 0, forwards = 0, both = 0;
    index_t tangents = 0;
    explicit counted_network(mlp<double, backend_type> const& from) : plain_two_time_network{from} {}
    int classes() const { return 3; }
    template <class... Views> void operator()(Views... views) { ++asked, net(views...); }
    template <class... Views> void forward(Views... views) { ++forwards, net.forward(views...); }
    void jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) { net.jvp(x, vx, t, vt, s, vs, y, vy); }
    template <class... Views> void forward_jvp(input x, input vx, Views... views) {
        ++both, tangents = vx.rows();
        net.forward_jvp(x, vx, views...);
    }
};
/// The same without forward_jvp.
struct network_with_jvp : plain_two_time_network {
    void jvp(input x, input vx, input t, input vt, input s, input vs, output y, output vy) { net.jvp(x, vx, t, vt, s, vs, y, vy); }
};

template <class Objective, class Model>
host_problem build(Objective const& objective, Model& model, batch<double, backend_type> const& data, random_key key) {
    auto const memory = device().scratch();
    return on_host(objective.build(model, data, key, *memory));
}

/// A problem against its formulas, with du/dt by difference quotients of fourth order.
template <class Process, class Pairs>
void check_problem(Process const& process, Pairs const& pairs, mean_flow_options const& options, random_key key = {8, 21}) {
    auto net = two_time_mlp();
    flow_map_model fast{net, process};
    index_t const n = 24, apart = n - static_cast<index_t>(options.flow_matching_fraction * n);
    labelled_pairs const given(n);
    auto const p = build(mean_flow{adaptive_squared{}, pairs, by_jvp{}, options}, fast, given.with_labels(), key);
    auto const labels = given.labels.to_host();
    std::vector<double> t, s;
    std::vector<std::int32_t> left;
    for (index_t r = 0; r < n; ++r) {
        time_pair const pair = pairs.sample(process, key.at(draw::time), r, static_cast<index_t>(key.step));
        t.push_back(pair.t), s.push_back(r < apart ? pair.s : pair.t);
        left.push_back(uniform(key.at(draw::label), r) < options.label_dropout ? 3 : labels[static_cast<std::size_t>(r)]);
    }
    auto const told = [&](std::vector<double> times, double moved) {
        for (double& time : times) time = network_time_of(process, time + moved);
        return times;
    };
    host_path const path(process, t, given.x0.to_host(), given.noise.to_host());
    CHECK(relative_difference(p.t, told(t, 0)) < 1e-14);
    CHECK(relative_difference(p.s, told(s, 0)) < 1e-14);
    CHECK(relative_difference(p.x, path.x) < 1e-13);
    CHECK(p.labels == left);
    std::vector<double> v = path.v;
    auto const none = answers(net, path.x, told(t, 0), told(t, 0)), with = answers(net, path.x, told(t, 0), told(t, 0), labels);
    double const range = process.t_max() - process.t_min();
    for (std::size_t i = 0; i < v.size(); ++i) {
        double const share = (t[i / 2] - process.t_min()) / range;
        if (left[i / 2] != 3 && share >= options.guided_from && share <= options.guided_to)
            v[i] = options.omega * v[i] + (1 - options.omega - options.kappa) * none[i] + options.kappa * with[i];
    }
    double const h = 2e-3;
    auto const ahead = [&](double by) {
        std::vector<double> x = path.x;
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += by * v[i];
        return answers(net, x, told(t, by), told(s, 0), left);
    };
    auto const a = ahead(-2 * h), b = ahead(-h), c = ahead(h), e = ahead(2 * h);
    double const rise = options.warmup > 0 ? std::fmin(1, static_cast<double>(key.step) / options.warmup) : 1;
    std::vector<double> expected = v;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (s[i / 2] == t[i / 2]) continue;
        expected[i] -= rise * (t[i / 2] - s[i / 2]) * (a[i] - 8 * b[i] + 8 * c[i] - e[i]) / (12 * h);
    }
    CHECK(relative_difference(p.target, expected) < 1e-9);
    CHECK(relative_difference(p.output, answers(net, path.x, told(t, 0), told(s, 0), left)) < 1e-12);
    for (auto const& row : p.rows) CHECK((row.a == 0 && row.b == 1 && row.weight == 1));
}

/// Pairs whose own path runs along the exact flow at the times of `steps`.
struct pairs_on_the_flow {
    std::vector<double> x0, noise;
    pairs_on_the_flow(exact_average_velocity const& net, index_t n) {
        for (index_t r = 0; r < n; ++r) {
            double const t = steps{}.sample(rectified_flow{}, {}, r, 0).t, x = 0.3 * static_cast<double>(r) - 1, v = net.value(x, t, t);
            x0.push_back(x - t * v), noise.push_back(x + (1 - t) * v);
        }
    }
};

}  // namespace

TEST_CASE("mean_flow: the target is v - (t - s) du/dt for the first rows and v for the rest") {
    sorted_pair const pairs{logit_normal{-0.4, 1}};
    check_problem(rectified_flow{}, pairs, {});
    check_problem(rectified_flow{}, bounded_pair{logit_normal{-0.6, 1.6}, logit_normal{-4, 1.6}}, {.flow_matching_fraction = 0.25});
    check_problem(trigonometric_flow{}, pairs, {.flow_matching_fraction = 0});
    check_problem(other_clock{}, pairs, {.flow_matching_fraction = 0.5});
    check_problem(rectified_flow{}, pairs, {.flow_matching_fraction = 0, .warmup = 50}, {8, 20});
    check_problem(rectified_flow{}, pairs, {.flow_matching_fraction = 0, .warmup = 50}, {8, 200});
}

TEST_CASE("mean_flow: guidance mixes the model's own velocities into v where the row has a label") {
    sorted_pair const pairs{logit_normal{0, 1}};
    check_problem(rectified_flow{}, pairs, {.flow_matching_fraction = 0.5, .omega = 1, .kappa = 0.5, .label_dropout = 0.3});
    check_problem(rectified_flow{}, pairs, {.flow_matching_fraction = 0.5, .omega = 2, .label_dropout = 0});
    check_problem(other_clock{}, pairs, {.omega = 0.5, .kappa = 0.5, .label_dropout = 0.3});  // nothing without labels in it
    check_problem(rectified_flow{}, pairs, {.omega = 3, .kappa = 0.25, .guided_from = 0.3, .guided_to = 0.6});
}

TEST_CASE("mean_flow: the exact average velocity of Gaussian data is a fixed point, another one is not") {
    cpu host(1);
    exact_average_velocity const exact{0.4, 0.7};
    pairs_on_the_flow const pairs(exact, 9);
    tensor<double, cpu> const x0(host, {9, 1}, pairs.x0), noise(host, {9, 1}, pairs.noise);
    batch<double, cpu> const data{x0.view(), noise.view()};
    auto const residual = [&](exact_average_velocity net, auto const& derivative) {
        flow_map_model fast{net};
        auto const memory = host.scratch();
        auto const p = mean_flow{squared{}, steps{}, derivative, {.flow_matching_fraction = 0}}.build(fast, data, {}, *memory);
        tensor<double, cpu> y(host, {9, 1});
        net(p.call.x, p.call.t, p.call.s, y.view());
        double worst = 0;
        for (index_t i = 0; i < 9; ++i) worst = std::fmax(worst, std::fabs(y.data()[i] - p.target[i]));
        return worst;
    };
    CHECK(residual(exact, by_jvp{}) < 1e-14);
    CHECK(residual({0.4, 0.7, 0.05}, by_jvp{}) > 1e-2);
    // The last row is at t = 1, where only one side is left: an error of first order in the step there.
    CHECK(residual(exact, by_quotient{}) < 1e-4);
    CHECK(residual(exact, by_quotient{.step = 1e-6}) < 1e-6);
}

TEST_CASE("mean_flow: on independent pairs the exact average velocity is met in the mean") {
    // E[target | x] = u: the mean of g (u - target) vanishes for any g(x, t, s), here 1 and x.
    cpu host(1);
    index_t const n = 40'000;
    exact_average_velocity const exact{0.4, 0.7};
    tensor<double, cpu> clean = normal<double>(host, {n, 1}, 4);
    for (index_t i = 0; i < n; ++i) clean.data()[i] = 0.4 + 0.7 * clean.data()[i];
    auto const means = [&](exact_average_velocity net) {
        flow_map_model fast{net};
        auto const memory = host.scratch();
        auto const p = mean_flow{{.flow_matching_fraction = 0}}.build(fast, batch<double, cpu>{clean.view()}, {3, 4}, *memory);
        double worst = 0;
        for (bool const slope : {false, true}) {
            double sum = 0, square = 0;
            for (index_t i = 0; i < n; ++i) {
                double const x = p.call.x.data()[i];
                double const value = (net.value(x, p.call.t.data()[i], p.call.s.data()[i]) - p.target[i]) * (slope ? x : 1);
                sum += value, square += value * value;
            }
            worst = std::fmax(worst, std::fabs(sum) / std::sqrt(square));
        }
        return worst;
    };
    CHECK(means(exact) < 5);  // in deviations of the mean
    CHECK(means({0.4, 0.7, 0.3}) > 10);
}

TEST_CASE("mean_flow: with s = t everywhere it is flow matching") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    model flow{[](auto, auto, auto) {}, rectified_flow{}, velocity{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {9, 2}, 4);
    batch<double, backend_type> const data{x0.view()};
    auto const memory = device().scratch();
    auto const p = build(mean_flow{{.flow_matching_fraction = 1}}, fast, data, {8, 2});
    auto const q = flow_matching{squared{}, later_time{}}.build(flow, data, {8, 2}, *memory);
    std::vector<double> target(18);
    device().download(q.target, 18, target.data());
    CHECK(p.x == to_host(q.call.x));
    CHECK(p.t == to_host(q.call.t));
    CHECK(p.s == p.t);
    CHECK(p.target == target);
    CHECK(p.output.empty());
    // Rows that are asked for a derivative and stand still keep v as well.
    auto const still = build(mean_flow{squared{}, steps{true}, by_jvp{}, {.flow_matching_fraction = 0}}, fast, data, {8, 2}),
               none = build(mean_flow{squared{}, steps{true}, by_jvp{}, {.flow_matching_fraction = 1}}, fast, data, {8, 2});
    CHECK(still.target == none.target);
    CHECK_FALSE(still.output.empty());
}

TEST_CASE("mean_flow: a difference quotient stands in for the derivative") {
    auto net = two_time_mlp();
    plain_two_time_network plain{net};
    flow_map_model fast{net};
    flow_map_model nameless{plain};
    labelled_pairs const pairs(9);
    mean_flow_options const options{.flow_matching_fraction = 0.25, .label_dropout = 0};
    auto const exact = build(mean_flow{squared{}, steps{}, by_jvp{}, options}, fast, pairs.with_labels(), {8, 2});
    auto const quotient = build(mean_flow{squared{}, steps{}, by_quotient{}, options}, nameless, pairs.with_labels(), {8, 2});
    CHECK(quotient.output.empty());
    CHECK(quotient.x == exact.x);
    CHECK(relative_difference(quotient.target, exact.target) < 1e-7);
    // All inside the range but the row at t = 1, which is last here: halving the step quarters the error, there it halves it.
    auto const inner = [&](double step, std::size_t first, std::size_t last) {
        mean_flow_options all = options;
        all.flow_matching_fraction = 0;
        auto const p = build(mean_flow{squared{}, steps{}, by_quotient{step}, all}, nameless, pairs.with_labels(), {8, 2});
        auto const e = build(mean_flow{squared{}, steps{}, by_jvp{}, all}, fast, pairs.with_labels(), {8, 2});
        double worst = 0;
        for (std::size_t i = 2 * first; i < 2 * last; ++i) worst = std::fmax(worst, std::fabs(p.target[i] - e.target[i]));
        return worst;
    };
    CHECK(std::log2(inner(0.02, 0, 7) / inner(0.01, 0, 7)) == doctest::Approx(2).epsilon(0.05));
    CHECK(std::log2(inner(0.02, 8, 9) / inner(0.01, 8, 9)) == doctest::Approx(1).epsilon(0.1));
}

TEST_CASE("mean_flow: prediction and tangents come from one pass where the network has it") {
    counted_network net{two_time_mlp()};
    network_with_jvp slower{{two_time_mlp()}};
    flow_map_model fast{net};
    flow_map_model other{slower};
    labelled_pairs const pairs(8);
    mean_flow const objective{{.flow_matching_fraction = 0.75}};
    double const loss = accumulate(objective, fast, pairs.without_labels(), {8, 2});
    CHECK(net.both == 1);
    CHECK(net.tangents == 2);
    CHECK(net.asked + net.forwards == 0);
    CHECK(static_cast<double>(accumulate(objective, other, pairs.without_labels(), {8, 2})) == doctest::Approx(loss).epsilon(1e-13));
    CHECK(relative_difference(to_host(slower.gradients()), to_host(net.gradients())) < 1e-12);
    accumulate(mean_flow{{.omega = 2}}, fast, pairs.with_labels(), {8, 2});
    CHECK(net.asked == 1);
    accumulate(mean_flow_imagenet(), fast, pairs.with_labels(), {8, 2});
    CHECK(net.asked == 3);
    CHECK(net.both == 3);
}

TEST_CASE("mean_flow: the gradient with the target held constant is that of difference quotients") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(6);
    sorted_pair const times{logit_normal{}};
    mean_flow_options const guided{.flow_matching_fraction = 0.5, .omega = 1.5, .kappa = 0.5};
    check_frozen_gradient(mean_flow{squared{}, times, by_jvp{}, guided}, fast, fast, pairs.with_labels(), {8, 21});
    check_frozen_gradient(mean_flow{pseudo_huber{.c = 0.5}, times, by_quotient{}, guided}, fast, fast, pairs.with_labels(), {8, 21});
}

TEST_CASE("mean_flow: a row's problem depends on the key, its number and whether its times differ") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(40);
    for (double fraction : {0.0, 1.0}) {
        mean_flow const objective{{.flow_matching_fraction = fraction, .kappa = 0.5}};
        auto const all = build(objective, fast, pairs.with_labels(), {8, 3});
        for (index_t r : {0, 7, 39}) {
            batch<double, backend_type> const one{pairs.x0.view().rows(r, 1), pairs.noise.view().rows(r, 1),
                                                  pairs.labels.view().rows(r, 1)};
            auto const alone = build(objective, fast, one, random_key{8, 3}.from_row(r));
            auto const at = static_cast<std::size_t>(r);
            CHECK(alone.t[0] == all.t[at]);
            CHECK(alone.s[0] == all.s[at]);
            CHECK(alone.labels[0] == all.labels[at]);
            for (std::size_t c = 0; c < 2; ++c) CHECK(alone.target[c] == doctest::Approx(all.target[2 * at + c]).epsilon(1e-12));
        }
    }
}

TEST_CASE("mean_flow: the same bits for any number of threads, and nothing allocated when warm") {
    std::vector<float> gradients;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {20}, .width = 32, .blocks = 1, .time = {.scale = 1}, .classes = 4, .second_time = true});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        flow_map_model fast{net};
        tensor<float, cpu> const x0 = normal<float>(host, {200, 20}, 4);
        tensor<std::int32_t, cpu> const labels(host, {200}, labelled_pairs::numbers(200));
        batch<float, cpu> const data{x0.view(), {}, labels.view()};
        auto const objective = mean_flow_imagenet();
        accumulate(objective, fast, data, {1, 2});
        accumulate(objective, fast, data, {1, 3});
        auto const before = allocations();
        accumulate(objective, fast, data, {1, 4});
        CHECK(allocations() == before);
        if (threads == 1) gradients = to_host(net.gradients());
        else CHECK(to_host(net.gradients()) == gradients);
    }
}

TEST_CASE("mean_flow: refuses what it cannot do") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(8);
    CHECK_THROWS_WITH((mean_flow{{.flow_matching_fraction = 1.5}}),
                      "domain_error: mean_flow: flow_matching_fraction is 1.5, it must lie in [0, 1]");
    CHECK_THROWS_WITH((mean_flow{{.label_dropout = -1}}), "domain_error: mean_flow: label_dropout is -1, it must lie in [0, 1]");
    CHECK_THROWS_WITH((mean_flow{{.warmup = -1}}), "domain_error: mean_flow: warmup is -1, it must not be negative");
    CHECK_THROWS_WITH((mean_flow{{.omega = HUGE_VAL}}), "domain_error: mean_flow: omega is inf and kappa is 0, both must be finite");
    CHECK_THROWS_WITH((mean_flow{squared{}, steps{}, by_quotient{.step = 0}}), "domain_error: by_quotient: step is 0, it must be > 0");
    CHECK_THROWS_WITH(build(mean_flow{{.kappa = 0.5}}, fast, pairs.without_labels(), {}),
                      "shape_error: mean_flow: guidance is asked for and the batch has no labels, guidance sets labels against none; "
                      "omega = 1 and kappa = 0 ask for none");
    plain_two_time_network plain{net};
    flow_map_model nameless{plain};
    mean_flow const guided{squared{}, steps{}, by_quotient{}, {.omega = 2, .label_dropout = 0}};
    CHECK_THROWS_WITH(
        build(guided, nameless, pairs.with_labels(), {}),
        "domain_error: mean_flow: guidance is asked for, this network does not say which label means none: it has no classes()");
    batch<double, backend_type> const mismatched{pairs.x0.view(), pairs.noise.view().rows(0, 3)};
    CHECK_THROWS_WITH(build(mean_flow{}, fast, mismatched, {}), "shape_error: mean_flow: noise is [3, 2], it must be [8, 2]");
}

TEST_CASE("mean_flow: prints what decides it, and the recipes are as published") {
    CHECK(to_string(mean_flow{}) ==
          "mean_flow{distance = adaptive_squared{power = 1, c = 0.01}, pairs = sorted_pair{density = logit_normal{mean = -0.4, deviation = "
          "1}}, derivative = by_jvp{}, flow_matching_fraction = 0.75, omega = 1, kappa = 0, guided_from = 0, guided_to = 1, label_dropout "
          "= 0.1, warmup = 0}");
    CHECK(mean_flow_imagenet().options() == mean_flow_options{.kappa = 0.5});
    CHECK(to_string(mean_flow_cifar10())
              .find("power = 0.75, c = 0.001}, pairs = sorted_pair{density = logit_normal{mean = -2, deviation = "
                    "2}}, derivative = by_jvp{}, flow_matching_fraction = 0.25") != std::string::npos);
    CHECK(to_string(mean_flow_cifar10_bounded())
              .find("later = logit_normal{mean = -0.6, deviation = 1.6}, earlier = logit_normal{mean = -4, "
                    "deviation = 1.6}") != std::string::npos);
    CHECK(network_time_slope(rectified_flow{}, 0.3) == 1);
    CHECK(network_time_slope(other_clock{}, 0.3) == doctest::Approx(3.3).epsilon(1e-9));
    CHECK(network_time_slope(other_clock{}, 1) == doctest::Approx(4).epsilon(1e-5));
}

}  // namespace mean_flow_tests
