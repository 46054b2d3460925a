#include <onestep/objective/trajectory_consistency.hpp>

#include <onestep/time/uniform_grid.hpp>

#include "../counting_allocator.hpp"
#include "../exact_flow_map.hpp"
#include "frozen.hpp"
#include "triples.hpp"

namespace trajectory_consistency_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;
using namespace onestep::test::triples;

namespace {

trajectory_consistency_options const no_denoising{.denoising = 0};

mlp<double, backend_type> one_time_mlp() {
    mlp<double, backend_type> net(device(), {.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = 3});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{11}.at(draw::user), 0.4);
    return net;
}
numbers one_time_answers(mlp<double, backend_type>& net, numbers const& x, numbers const& t, std::vector<std::int32_t> const& labels) {
    auto const n = static_cast<index_t>(t.size());
    tensor<double, backend_type> const at(device(), {n, 2}, x), times(device(), {n}, t);
    tensor<std::int32_t, backend_type> const given(device(), {n}, labels);
    tensor<double, backend_type> y(device(), {n, 2});
    net(at.view(), times.view(), given.view(), y.view());
    return y.to_host();
}

/// A problem against the printed formulas; carried(x_t) is where the path leads from t to u. The last rows, `denoising` of 12, have s = t.
template <class Process, class Rule, class Path, class Carried>
void check_problem(Process const& process, Rule const& rule, Path const& path, std::size_t denoising, Carried const& carried) {
    auto net = two_time_mlp(), older_net = two_time_mlp(8);
    flow_map_model fast{net, process, rule}, older{older_net, process, rule};
    labelled_pairs const pairs(12);
    listed_triples const triples = random_triples(process, 12, 0.05, 5);
    trajectory_consistency const objective(path, squared{}, triples, inverse_gap{}, no_average{},
                                           {.denoising = static_cast<double>(denoising) / 12, .denoising_weight = 0.7});
    auto const p = build(objective, fast, older, pairs.with_labels());
    numbers const clean = pairs.x0.to_host(), noise = pairs.noise.to_host(), x_t = mixed(process, triples.t, clean, noise);
    auto const labels = pairs.labels.to_host();
    numbers const x_u = carried(triples, x_t, clean, noise, labels);
    numbers const target = printed_values(process, rule, older_net, x_u, triples.u, triples.s, labels);
    CHECK(p.labels == labels);
    CHECK(p.output.empty());
    CHECK(relative_difference(p.t, triples.t) < 1e-14);
    for (std::size_t r = 0; r < 12; ++r) {
        double const t = triples.t[r], s = triples.s[r];
        bool const denoises = r >= 12 - denoising;
        printed_map const map = printed(process, rule, t, s);
        marginal const m = marginal_at(process, t), end = marginal_at(process, s);
        CHECK(p.s[r] == doctest::Approx(denoises ? t : s).epsilon(1e-13));
        CHECK(p.rows[r].weight == doctest::Approx(denoises ? 0.7 : 1 / (m.sigma / m.alpha - end.sigma / end.alpha)).epsilon(1e-12));
        CHECK(p.rows[r].a * map.scale == doctest::Approx(denoises ? 0 : map.x).epsilon(1e-12));
        CHECK(p.rows[r].b == doctest::Approx(denoises ? 1 : map.output).epsilon(1e-12));
        target_weights const local = local_target_of(rule).weights(m);
        for (std::size_t i = 2 * r; i < 2 * r + 2; ++i) {
            CHECK(p.x[i] == doctest::Approx(map.scale * x_t[i]).epsilon(1e-12));
            double const expected = denoises ? local.x0 * clean[i] + local.epsilon * noise[i] : target[i];
            CHECK(p.target[i] == doctest::Approx(expected).epsilon(1e-10));
        }
    }
}

}  // namespace

TEST_CASE("trajectory_consistency: without a teacher the target starts on the line of sample and noise") {
    auto const straight = [](auto const& process) {
        return [process](listed_triples const& at, numbers const&, numbers const& clean, numbers const& noise, auto const&) {
            return mixed(process, at.u, clean, noise);
        };
    };
    check_problem(rectified_flow{}, average_velocity{}, conditional_path{}, 6, straight(rectified_flow{}));
    check_problem(rectified_flow{}, ddim_rule{scaled_velocity{}}, conditional_path{}, 0, straight(rectified_flow{}));
    check_problem(edm{}, ddim_rule{}, conditional_path{}, 4, straight(edm{}));
    check_problem(edm{}, ddim_rule{}, conditional_path{}, 12, straight(edm{}));
}

TEST_CASE("trajectory_consistency: with a teacher the target starts where its step leads") {
    auto teacher_net = one_time_mlp();
    model const flow{teacher_net, rectified_flow{}, velocity{}};
    check_problem(rectified_flow{}, ddim_rule{scaled_velocity{}}, teacher_path{flow}, 3,
                  [&](listed_triples const& at, numbers const& x, numbers const&, numbers const&, auto const& labels) {
                      numbers guess = x, out = x;
                      numbers const first = one_time_answers(teacher_net, x, at.t, labels);
                      for (std::size_t i = 0; i < x.size(); ++i) guess[i] += (at.u[i / 2] - at.t[i / 2]) * first[i];
                      numbers const second = one_time_answers(teacher_net, guess, at.u, labels);
                      for (std::size_t i = 0; i < x.size(); ++i) out[i] += (at.u[i / 2] - at.t[i / 2]) * (first[i] + second[i]) / 2;
                      return out;
                  });
    model const denoiser{teacher_net, edm{}, x0{}};
    check_problem(edm{}, ddim_rule{}, teacher_path{denoiser, euler{}, 1.5}, 3,
                  [&](listed_triples const& at, numbers const& x, numbers const&, numbers const&, auto const& labels) {
                      numbers const given = one_time_answers(teacher_net, x, at.t, labels),
                                    none = one_time_answers(teacher_net, x, at.t, std::vector<std::int32_t>(12, 3));
                      numbers out = x;
                      for (std::size_t i = 0; i < x.size(); ++i)
                          out[i] += (at.u[i / 2] / at.t[i / 2] - 1) * (x[i] - none[i] - 1.5 * (given[i] - none[i]));
                      return out;
                  });
}

TEST_CASE("trajectory_consistency: with an exact teacher the exact map's residual is the error of one step of the solver") {
    cpu host(1);
    tensor<double, cpu> const x0 = normal<double>(host, {16, 2}, 4), noise = normal<double>(host, {16, 2}, 5);
    using rule = ddim_rule<>;
    gaussian_data<velocity> const denoiser{0.4, 0.7, {}, {}};
    model const teacher{denoiser, rectified_flow{}, velocity{}};
    auto const residual = [&](auto const& solver, double gap, double error) {
        numbers const t(16, 0.7), u(16, 0.7 - gap), s(16, 0.2);
        exact_flow_map<rule, rectified_flow> const net{0.4, 0.7, rule{}, {}, error};
        flow_map_model const fast{net, rectified_flow{}, rule{}};
        trajectory_consistency const objective(teacher_path{teacher, solver}, squared{}, listed_triples{t, u, s}, unit_weight{},
                                               no_average{}, no_denoising);
        auto const memory = host.scratch();
        auto const p = objective.build(fast, fast, batch<double, cpu>{x0.view(), noise.view()}, {}, *memory);
        tensor<double, cpu> y(host, {16, 2});
        net(p.call.x, p.call.t, p.call.s, y.view());
        double worst = 0;
        for (index_t i = 0; i < 32; ++i)
            worst = std::fmax(worst, std::fabs(p.rows[i / 2].a * p.call.x.data()[i] + p.rows[i / 2].b * y.data()[i] - p.target[i]));
        return worst;
    };
    auto const order = [&](auto const& solver) { return std::log2(residual(solver, 0.08, 0) / residual(solver, 0.04, 0)); };
    CHECK(order(euler{}) == doctest::Approx(2).epsilon(0.1));
    CHECK(order(ddim{}) == doctest::Approx(2).epsilon(0.1));
    CHECK(order(heun{}) == doctest::Approx(3).epsilon(0.1));
    CHECK(residual(heun{}, 0.01, 0) < 2e-6);
    CHECK(residual(heun{}, 0.01, 0.2) > 1e-3);
}

TEST_CASE("trajectory_consistency: along the straight line the exact map is off by the square of the gap, and denoising rows by nothing") {
    // With w = (x - alpha m) / S: E[(X(x_t) - X(x_u)) w_t] = S(s) (1 - correlation of w_t and w_u)
    cpu host(1);
    index_t const n = 20'000;
    double const mean = 0.4, deviation = 0.7, t = 0.7, s = 0.2;
    tensor<double, cpu> x0 = normal<double>(host, {n, 1}, 4), noise = normal<double>(host, {n, 1}, 5);
    for (index_t r = 0; r < n; ++r) x0.data()[r] = mean + deviation * x0.data()[r];
    auto const spread = [&](double time) { return std::hypot((1 - time) * deviation, time); };
    using rule = ddim_rule<scaled_velocity>;
    exact_flow_map<rule, rectified_flow> const net{mean, deviation};
    flow_map_model const fast{net, rectified_flow{}, rule{}};
    auto const moment = [&](double u, double share, double& error) {
        std::size_t const rows = static_cast<std::size_t>(n);
        trajectory_consistency const objective(conditional_path{}, squared{},
                                               listed_triples{numbers(rows, t), numbers(rows, u), numbers(rows, s)}, unit_weight{},
                                               no_average{}, {.denoising = share});
        auto const memory = host.scratch();
        auto const p = objective.build(fast, fast, batch<double, cpu>{x0.view(), noise.view()}, {}, *memory);
        tensor<double, cpu> y(host, {n, 1});
        net(p.call.x, p.call.t, p.call.s, y.view());
        double sum = 0, square = 0, count = static_cast<double>(n);
        for (index_t r = 0; r < n; ++r) {
            double const w = ((1 - t) * x0.data()[r] + t * noise.data()[r] - (1 - t) * mean) / spread(t);
            double const term = (p.rows[r].a * p.call.x.data()[r] + p.rows[r].b * y.data()[r] - p.target[r]) * w;
            sum += term / count, square += term * term / count;
        }
        error = std::sqrt((square - sum * sum) / count);
        return sum;
    };
    double error = 0;
    for (double u : {0.6, 0.4}) {
        double const correlation = ((1 - t) * (1 - u) * deviation * deviation + t * u) / (spread(t) * spread(u));
        double const value = moment(u, 0, error);
        CHECK(std::fabs(value - spread(s) * (1 - correlation)) < 5 * error);
        if (u == 0.4) CHECK(value > 10 * error);
    }
    double const denoising = moment(0.6, 1, error);
    CHECK(std::fabs(denoising) < 5 * error);
    CHECK(error < 0.02);
}

TEST_CASE("trajectory_consistency: at u = s the target is x_u whatever the networks say, and rows that go nowhere weigh nothing") {
    auto net = two_time_mlp();
    fill(net.parameters(), NAN);
    flow_map_model fast{net, edm{}, ddim_rule{}};
    labelled_pairs const pairs(3);
    listed_triples const triples{{5, 0.3, 2}, {1, 0, 2}, {1, 0, 2}};
    auto const p = build(trajectory_consistency(conditional_path{}, squared{}, triples, inverse_gap{}, no_average{}, no_denoising), fast,
                         fast, pairs.without_labels());
    numbers const x_u = mixed(edm{}, triples.u, pairs.x0.to_host(), pairs.noise.to_host());
    CHECK(relative_difference(p.target, x_u) < 1e-15);
    CHECK(p.rows[2].weight == 0);
    CHECK(p.rows[2].b == 0);
    CHECK(p.rows[0].weight == doctest::Approx(0.25));
}

TEST_CASE("trajectory_consistency: the gradient with the target held constant is that of difference quotients") {
    auto net = two_time_mlp(), older_net = two_time_mlp(8), teacher_net = one_time_mlp();
    flow_map_model fast{net, edm{}, ddim_rule{}}, older{older_net, edm{}, ddim_rule{}};
    model const teacher{teacher_net, edm{}, edm_preconditioned{}};
    labelled_pairs const pairs(6);
    listed_triples const triples = random_triples(edm{}, 6, 0.05, 5);
    check_frozen_gradient(trajectory_consistency(teacher_path{teacher}, pseudo_huber{.c = 0.3}, triples), fast, older, pairs.with_labels(),
                          {});
    check_frozen_gradient(trajectory_consistency(conditional_path{}, squared{}, triples, inverse_gap{}, no_average{}), fast, fast,
                          pairs.without_labels(), {});
}

TEST_CASE("trajectory_consistency: a row's problem depends on the key, its number and whether it denoises") {
    auto net = two_time_mlp();
    flow_map_model fast{net, edm{}, ddim_rule{}};
    labelled_pairs const pairs(150);
    random_key const key{3, 120};
    for (double share : {0.0, 1.0}) {
        trajectory_consistency const objective(trajectory_consistency_options{.denoising = share});
        batch<double, backend_type> const all{pairs.x0.view(), {}, pairs.labels.view()};
        auto const whole = build(objective, fast, fast, all, key);
        for (index_t r : {0, 70, 149}) {
            batch<double, backend_type> const one{pairs.x0.view().rows(r, 1), {}, pairs.labels.view().rows(r, 1)};
            auto const alone = build(objective, fast, fast, one, key.from_row(r));
            auto const at = static_cast<std::size_t>(r);
            CHECK(alone.t[0] == whole.t[at]);
            CHECK(alone.s[0] == whole.s[at]);
            for (std::size_t c = 0; c < 2; ++c) {
                CHECK(alone.x[c] == whole.x[2 * at + c]);
                CHECK(alone.target[c] == doctest::Approx(whole.target[2 * at + c]).epsilon(1e-12));
            }
        }
    }
}

TEST_CASE("trajectory_consistency: the same bits for any number of threads, and nothing allocated when warm") {
    std::vector<float> gradients;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {20}, .width = 32, .blocks = 1, .second_time = true}),
            teacher_net(host, {.data = {20}, .width = 32, .blocks = 1});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        fill_normal(teacher_net.parameters().reshaped({1, teacher_net.parameters().size()}), random_key{4}.at(draw::user), 0.2);
        flow_map_model fast{net};
        model const teacher{teacher_net, rectified_flow{}, velocity{}};
        tensor<float, cpu> const x0 = normal<float>(host, {200, 20}, 4);
        batch<float, cpu> const data{x0.view()};
        trajectory_consistency const objective(teacher_path{teacher}, squared{}, trajectory_levels{constant_levels{}, uniform_grid{}});
        accumulate(objective, fast, data, {1, 2});
        accumulate(objective, fast, data, {1, 3});
        auto const before = allocations();
        accumulate(objective, fast, data, {1, 4});
        CHECK(allocations() == before);
        if (threads == 1) gradients = to_host(net.gradients());
        else CHECK(to_host(net.gradients()) == gradients);
    }
}

TEST_CASE("trajectory_consistency: refuses what it cannot do, and is a spec") {
    auto net = two_time_mlp(), teacher_net = one_time_mlp();
    flow_map_model fast{net, edm{.sigma_max = 50}, ddim_rule{}};
    labelled_pairs const pairs(4);
    batch<double, backend_type> const mismatched{pairs.x0.view(), pairs.noise.view().rows(0, 3)};
    CHECK_THROWS_WITH(build(trajectory_consistency{}, fast, fast, mismatched),
                      "shape_error: trajectory_consistency: noise is [3, 2], it must be [4, 2]");
    model const teacher{teacher_net, edm{}, x0{}};
    CHECK_THROWS_WITH(build(trajectory_consistency(teacher_path{teacher}), fast, fast, pairs.without_labels()),
                      "domain_error: trajectory_consistency: the student's process is not the teacher's, both must have the same numbers; "
                      "`matched` brings a teacher to another process");
    CHECK_THROWS_WITH(trajectory_consistency({.denoising = 2}),
                      "domain_error: trajectory_consistency: denoising is 2, it must lie in [0, 1]");
    CHECK_THROWS_WITH(trajectory_consistency({.denoising_weight = -1}),
                      "domain_error: trajectory_consistency: denoising_weight is -1, it must not be negative");
    CHECK(trajectory_consistency{}.target_decay(5) == 0.999);
    CHECK(to_string(trajectory_consistency{}) ==
          "trajectory_consistency{path = conditional_path{}, distance = squared{}, triples = " + to_string(trajectory_levels{}) +
              ", weighting = unit_weight{}, average = constant_average{mu = 0.999}, denoising = 0.5, denoising_weight = 1}");
}

}  // namespace trajectory_consistency_tests
