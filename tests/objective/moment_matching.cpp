#include <onestep/objective/moment_matching.hpp>

#include "../counting_allocator.hpp"
#include "../exact_flow_map.hpp"
#include "frozen.hpp"
#include "triples.hpp"

namespace moment_matching_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;
using namespace onestep::test::triples;

namespace {

using pairing = moment_matching_options::pairing;

/// What the paper's formulas say of n rows of d numbers, kernels and unit vectors written out.
struct printed_matching {
    index_t group;
    bool itself;
    std::size_t d;
    numbers sharpness, predicted, aimed;

    double distance(numbers const& a, std::size_t i, numbers const& b, std::size_t k) const {
        double square = 0;
        for (std::size_t c = 0; c < d; ++c) square += std::pow(a[d * i + c] - b[d * k + c], 2);
        return std::fmax(std::sqrt(square), 1e-8);
    }
    double kernel(numbers const& a, std::size_t i, numbers const& b, std::size_t k) const {
        return std::exp(-sharpness[i] * distance(a, i, b, k) / static_cast<double>(d));
    }
    /// The mates of row i.
    std::vector<std::size_t> mates(std::size_t i) const {
        auto const m = static_cast<std::size_t>(group);
        std::vector<std::size_t> out;
        for (std::size_t k = i / m * m; k < i / m * m + m; ++k)
            if (itself || k != i) out.push_back(k);
        return out;
    }
    double share() const { return 1 / static_cast<double>(group - (itself ? 0 : 1)); }
    /// Row i's part of its group's squared discrepancy.
    double part(std::size_t i) const {
        double sum = 0;
        for (std::size_t k : mates(i))
            sum += kernel(predicted, i, predicted, k) + kernel(aimed, i, aimed, k) - 2 * kernel(predicted, i, aimed, k);
        return share() * sum;
    }
    /// d / 2 times the slope of its group's sum of parts by X_i.
    double pull(std::size_t i, std::size_t c) const {
        double sum = 0;
        for (std::size_t k : mates(i)) {
            auto const towards = [&](numbers const& b) {
                double const far = distance(predicted, i, b, k);
                return far > 1e-8 ? kernel(predicted, i, b, k) * (predicted[d * i + c] - b[d * k + c]) / far : 0;
            };
            sum += sharpness[i] * (towards(aimed) - towards(predicted));
        }
        return share() * sum;
    }
};

template <class Process, class Rule> void check_problem(Process const& process, Rule const& rule, moment_matching_options const& options) {
    auto net = two_time_mlp(), older_net = two_time_mlp(8);
    flow_map_model fast{net, process, rule}, older{older_net, process, rule};
    labelled_pairs const pairs(12);
    listed_triples const triples = random_triples(process, 12, 0.05, 3, options.group);
    moment_matching const objective(triples, matching_weight{2, 3}, options);
    auto const p = build(objective, fast, older, pairs.with_labels());
    numbers const clean = pairs.x0.to_host(), noise = pairs.noise.to_host(), x_t = mixed(process, triples.t, clean, noise);
    auto const labels = pairs.labels.to_host();
    printed_matching expected{options.group, options.pairs == pairing::all_pairs, 2, {}, {}, {}};
    expected.predicted = printed_values(process, rule, net, x_t, triples.t, triples.s, labels);
    expected.aimed = printed_values(process, rule, older_net, mixed(process, triples.u, clean, noise), triples.u, triples.s, labels);
    for (std::size_t r = 0; r < 12; ++r)
        expected.sharpness.push_back(1 / std::fabs(printed(process, rule, triples.t[r], triples.s[r]).output));

    CHECK(p.labels == labels);
    CHECK(relative_difference(p.t, triples.t) < 1e-13);
    CHECK(relative_difference(p.s, triples.s) < 1e-13);
    double weighted = 0, plain = 0;
    for (std::size_t r = 0; r < 12; ++r) {
        double const weight = matching_weight{2, 3}(marginal_at(process, triples.t[r]));
        CHECK(p.rows[r].weight == doctest::Approx(weight).epsilon(1e-12));
        plain += expected.part(r) / 12, weighted += weight * expected.part(r) / 12;
        for (std::size_t c = 0; c < 2; ++c) {
            std::size_t const i = 2 * r + c;
            CHECK(p.x[i] == doctest::Approx(printed(process, rule, triples.t[r], triples.s[r]).scale * x_t[i]).epsilon(1e-12));
            CHECK(p.rows[r].a * p.x[i] + p.rows[r].b * p.output[i] == doctest::Approx(expected.predicted[i]).epsilon(1e-10));
            CHECK(expected.predicted[i] - p.target[i] == doctest::Approx(expected.pull(r, c)).epsilon(1e-9));
        }
    }
    loss_value const loss = objective.measure(fast, older, pairs.with_labels(), {});
    CHECK(loss.weighted == doctest::Approx(weighted).epsilon(1e-10));
    CHECK(loss.plain == doctest::Approx(plain).epsilon(1e-10));
}

/// The gradient that accumulate adds against difference quotients of `measure`, targets staying those of `older`.
template <class Objective, class Model, class Target>
void check_gradient(Objective const& objective, Model& fast, Target& older, batch<double, backend_type> const& data) {
    auto const parameters = fast.network().parameters(), gradients = fast.network().gradients();
    fill(gradients, 0);
    accumulate(objective, fast, older, data, {});
    numbers const exact = to_host(gradients);
    numbers p = to_host(parameters);
    double worst = 0, size = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        double const at = p[i], h = 1e-5;
        auto const moved = [&](double value) {
            p[i] = value;
            device().upload(p.data(), parameters.size(), parameters.data());
            return objective.measure(fast, older, data, {}).weighted;
        };
        double const quotient = (moved(at + h) - moved(at - h)) / (2 * h);
        moved(at);
        worst = std::fmax(worst, std::fabs(quotient - exact[i])), size = std::fmax(size, std::fabs(exact[i]));
    }
    CHECK(size > 1e-2);
    CHECK(worst < 1e-8 * size + 1e-9);
}

}  // namespace

TEST_CASE("moment_matching: targets, weights and the measured loss are those of the printed formulas") {
    check_problem(rectified_flow{}, ddim_rule{scaled_velocity{}}, {.group = 4});
    check_problem(rectified_flow{}, average_velocity{}, {.group = 3, .pairs = pairing::distinct_pairs});
    check_problem(edm{}, ddim_rule{}, {.group = 2});
    check_problem(edm{}, ddim_rule{}, {.group = 12, .pairs = pairing::distinct_pairs});
    check_problem(rectified_flow{}, average_velocity{}, {.group = 1});
}

TEST_CASE("moment_matching: the gradient is that of the discrepancy itself") {
    auto net = two_time_mlp(), older_net = two_time_mlp(8);
    labelled_pairs const pairs(8);
    auto const check = [&](auto const& process, auto const& rule, moment_matching_options const& options) {
        flow_map_model fast{net, process, rule}, older{older_net, process, rule};
        check_gradient(moment_matching(random_triples(process, 8, 0.05, 3, options.group), matching_weight{}, options), fast, older,
                       pairs.with_labels());
    };
    check(rectified_flow{}, ddim_rule{scaled_velocity{}}, {.group = 4});
    check(edm{}, ddim_rule{}, {.group = 2});
    check(rectified_flow{}, average_velocity{}, {.group = 4, .pairs = pairing::distinct_pairs});
    flow_map_model fast{net};
    check_frozen_gradient(moment_matching(random_triples(rectified_flow{}, 8, 0.05, 3, 4)), fast, fast, pairs.without_labels(), {});
}

TEST_CASE("moment_matching: of the exact map distinct pairs have no gradient in the mean, samples with themselves a small one") {
    cpu host(1);
    index_t const n = 40'000;
    tensor<double, cpu> x0 = normal<double>(host, {n, 1}, 4);
    tensor<double, cpu> const noise = normal<double>(host, {n, 1}, 5);
    for (index_t r = 0; r < n; ++r) x0.data()[r] = 0.4 + 0.7 * x0.data()[r];
    using rule = ddim_rule<scaled_velocity>;
    // How the loss changes where the map is stretched about its mean at s, by rows: in units of its error.
    auto const slope = [&](pairing which, double u, double map_error, double& error) {
        exact_flow_map<rule, rectified_flow> const net{0.4, 0.7, rule{}, {}, map_error}, exact{0.4, 0.7};
        flow_map_model fast{net, rectified_flow{}, rule{}}, older{exact, rectified_flow{}, rule{}};
        auto const rows = static_cast<std::size_t>(n);
        moment_matching const objective(listed_triples{numbers(rows, 0.7), numbers(rows, u), numbers(rows, 0.2)}, matching_weight{},
                                        {.pairs = which});
        auto const memory = host.scratch();
        auto const p = objective.build(fast, older, batch<double, cpu>{x0.view(), noise.view()}, {}, *memory);
        double sum = 0, square = 0, groups = static_cast<double>(n / 4);
        for (index_t g = 0; g < n / 4; ++g) {
            double term = 0;
            for (index_t r = 4 * g; r < 4 * g + 4; ++r) {
                double const at = p.rows[r].a * p.call.x.data()[r] + p.rows[r].b * p.output[r];
                term += (at - p.target[r]) * (at - 0.8 * 0.4);
            }
            sum += term / groups, square += term * term / groups;
        }
        error = std::sqrt((square - sum * sum) / groups);
        return sum;
    };
    double error = 0;
    double const exact = slope(pairing::distinct_pairs, 0.5, 0, error);
    CHECK(std::fabs(exact) < 5 * error);
    double const stretched = slope(pairing::distinct_pairs, 0.5, 0.6, error);
    CHECK(stretched > 10 * error);
    double const shrunk = slope(pairing::distinct_pairs, 0.5, -0.6, error);
    CHECK(shrunk < -10 * error);
    // With its own target a sample's slope goes as sqrt(1 - correlation), that is as the gap.
    double const wide = slope(pairing::all_pairs, 0.5, 0, error), close = slope(pairing::all_pairs, 0.65, 0, error);
    CHECK(wide > 10 * error);
    CHECK(std::fabs(close) < 0.5 * wide);
}

TEST_CASE("moment_matching: rows that go nowhere weigh nothing, and equal samples do not push each other") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    tensor<double, backend_type> const x0(device(), {4, 2}, numbers{1, 2, 1, 2, 0.5, 1, -1, 0}),
        noise(device(), {4, 2}, numbers{0.1, 0.2, 0.1, 0.2, 1, 2, 3, 4});
    batch<double, backend_type> const data{x0.view(), noise.view()};
    auto const p = build(
        moment_matching(listed_triples{{0.5, 0.5, 0.4, 0.4}, {0.3, 0.3, 0.4, 0.4}, {0.1, 0.1, 0.4, 0.4}}, matching_weight{}, {.group = 2}),
        fast, fast, data);
    for (double value : p.target) CHECK(std::isfinite(value));
    CHECK(p.rows[1].weight > 0);
    CHECK(p.rows[2].weight == 0);
    CHECK(p.rows[2].b == 0);
}

TEST_CASE("moment_matching: a group's problem depends on the key and its rows alone") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(80);
    random_key const key{3, 120};
    moment_matching const objective;
    auto const whole = build(objective, fast, fast, {pairs.x0.view(), {}, pairs.labels.view()}, key);
    for (index_t r : {0, 36, 76}) {
        auto const part = build(objective, fast, fast, {pairs.x0.view().rows(r, 4), {}, pairs.labels.view().rows(r, 4)}, key.from_row(r));
        for (std::size_t i = 0; i < 4; ++i) CHECK(part.t[i] == whole.t[static_cast<std::size_t>(r) + i]);
        for (std::size_t i = 0; i < 8; ++i) {
            CHECK(part.x[i] == whole.x[2 * static_cast<std::size_t>(r) + i]);
            CHECK(part.target[i] == doctest::Approx(whole.target[2 * static_cast<std::size_t>(r) + i]).epsilon(1e-12));
        }
    }
    CHECK(whole.t[3] == whole.t[0]);
    CHECK(whole.t[4] != whole.t[0]);
}

TEST_CASE("moment_matching: the same bits for any number of threads, and nothing allocated when warm") {
    std::vector<float> gradients;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {20}, .width = 32, .blocks = 1, .second_time = true});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        flow_map_model fast{net, rectified_flow{}, ddim_rule{scaled_velocity{}}};
        tensor<float, cpu> const x0 = normal<float>(host, {200, 20}, 4);
        batch<float, cpu> const data{x0.view()};
        moment_matching const objective;
        // Twice: the scratch memory that one of them lacks it gets at its next call.
        for (std::uint64_t step : {2, 3}) {
            accumulate(objective, fast, data, {1, step});
            objective.measure(fast, data, {1, step});
        }
        auto const before = allocations();
        accumulate(objective, fast, data, {1, 4});
        objective.measure(fast, data, {1, 4});
        CHECK(allocations() == before);
        if (threads == 1) gradients = to_host(net.gradients());
        else CHECK(to_host(net.gradients()) == gradients);
    }
}

TEST_CASE("moment_matching: refuses what it cannot do, and is a spec") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(6);
    CHECK_THROWS_WITH(build(moment_matching{}, fast, fast, pairs.without_labels()),
                      "shape_error: moment_matching: the batch has 6 rows, groups of 4 must divide it");
    batch<double, backend_type> const mismatched{pairs.x0.view(), pairs.noise.view().rows(0, 3)};
    CHECK_THROWS_WITH(build(moment_matching{}, fast, fast, mismatched), "shape_error: moment_matching: noise is [3, 2], it must be [6, 2]");
    CHECK_THROWS_WITH(moment_matching({.group = 0}), "domain_error: moment_matching: group is 0, it must be at least 1");
    CHECK_THROWS_WITH(moment_matching({.group = 1, .pairs = pairing::distinct_pairs}),
                      "domain_error: moment_matching: group is 1, distinct pairs need at least 2");
    CHECK_THROWS_WITH(moment_matching({.nearest = 0}), "domain_error: moment_matching: nearest is 0, it must be > 0");
    CHECK(to_string(moment_matching{}) ==
          "moment_matching{triples = " + to_string(noise_decrement{}) +
              ", weighting = matching_weight{exponent = 1, bias = 4}, group = 4, nearest = 1e-08, pairs = all_pairs}");
}

}  // namespace moment_matching_tests
