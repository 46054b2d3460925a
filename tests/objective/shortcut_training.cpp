#include <onestep/objective/shortcut_training.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>

#include <map>

#include "../counting_allocator.hpp"
#include "../exact_average_velocity.hpp"
#include "frozen.hpp"
#include "two_times.hpp"

namespace shortcut_training_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::two_times;

namespace {

using deal = shortcut_training::deal;
using place = shortcut_training::place;

/// t in {1, ..., 128} / 128.
struct grid_times {
    static constexpr char const* name = "grid_times";
    double sample(process auto const&, random_stream s, index_t row) const { return static_cast<double>(below(s, 128, row) + 1) / 128; }
    void fields(auto&&) const {}
};

template <class Model, class Target>
host_problem build(shortcut_training const& objective, Model const& model, Target& older, batch<double, backend_type> const& data,
                   random_key key) {
    auto const memory = device().scratch();
    return on_host(objective.build(model, older, data, key, *memory));
}

double clipped(double x, double limit) { return limit > 0 ? std::fmin(std::fmax(x, -limit), limit) : x; }

/// A problem against its formulas, row by row, with the older network asked on the side. levels_of(r) is the level of a bootstrap row.
template <class Process, class Levels>
void check_problem(Process const& process, shortcut_training const& objective, index_t n, index_t bootstrap, Levels const& levels_of) {
    auto net = two_time_mlp(), older_net = two_time_mlp(8);
    flow_map_model fast{net, process}, older{older_net, process};
    labelled_pairs const pairs(n);
    random_key const key{8, 21};
    random_stream const times = key.at(draw::time);
    auto const p = build(objective, fast, older, pairs.with_labels(), key);
    double const low = process.t_min(), range = process.t_max() - low, m = std::pow(2, objective.levels);
    std::vector<double> t, s, mid;
    for (index_t r = 0; r < n; ++r) {
        double const cells = r < bootstrap ? std::pow(2, levels_of(r)) : m;
        double from, to;
        if (r < bootstrap || objective.flow_times == place::on_grid) {
            double const cell = static_cast<double>(below(times, static_cast<std::uint64_t>(cells), r));
            from = (cell + 1) / cells, to = cell / cells;
        } else {
            to = (1 - 1 / m) * uniform(times, r), from = to + 1 / m;
        }
        t.push_back(low + range * from), s.push_back(low + range * to), mid.push_back(low + range * (from + to) / 2);
    }
    host_path const path(process, t, pairs.x0.to_host(), pairs.noise.to_host());
    CHECK(relative_difference(p.t, t) < 1e-14);
    CHECK(relative_difference(p.s, s) < 1e-14);
    CHECK(relative_difference(p.x, path.x) < 1e-13);
    CHECK(p.output.empty());
    auto const labels = pairs.labels.to_host();
    for (index_t r = 0; r < n; ++r) {
        bool const drops = r >= bootstrap && uniform(key.at(draw::label), r) < objective.label_dropout;
        CHECK(p.labels[static_cast<std::size_t>(r)] == (drops ? 3 : labels[static_cast<std::size_t>(r)]));
    }
    // Two halves, each with guidance where the level is the finest.
    auto const velocity = [&](std::vector<double> const& x, std::vector<double> const& from, std::vector<double> const& to) {
        auto const given = answers(older_net, x, from, to, labels), none = answers(older_net, x, from, to);
        std::vector<double> u = given;
        for (std::size_t i = 0; i < u.size(); ++i) {
            auto const r = static_cast<index_t>(i / 2);
            if (r < bootstrap && levels_of(r) == objective.levels - 1) u[i] = none[i] + objective.guidance * (given[i] - none[i]);
        }
        return u;
    };
    auto const first = velocity(path.x, t, mid);
    std::vector<double> ahead = path.x, expected = path.v;
    for (std::size_t i = 0; i < ahead.size(); ++i) ahead[i] = clipped(ahead[i] - (t[i / 2] - mid[i / 2]) * first[i], objective.clip);
    auto const second = velocity(ahead, mid, s);
    for (std::size_t i = 0; i < 2 * static_cast<std::size_t>(bootstrap); ++i)
        expected[i] = clipped((first[i] + second[i]) / 2, objective.clip);
    CHECK(relative_difference(p.target, expected) < 1e-12);
    for (auto const& row : p.rows) {
        CHECK(row.a == 0);
        CHECK(row.b == 1);
        CHECK(row.weight == 1);
    }
}

}  // namespace

TEST_CASE("shortcut_training: bootstrap rows aim at the mean of two half steps of the older self, flow rows at the velocity") {
    // 11 of 44 rows: 3 each at levels 2, 1, 0, and the 2 that are left over at level 0
    auto const equal = [](index_t r) { return r < 9 ? 2 - static_cast<int>(r / 3) : 0; };
    check_problem(rectified_flow{}, {.levels = 3}, 44, 11, equal);
    check_problem(rectified_flow{}, {.levels = 3, .flow_times = place::anywhere, .clip = 0.5, .label_dropout = 0.5}, 44, 11, equal);
    check_problem(rectified_flow{}, {.levels = 3, .guidance = 1.5}, 44, 11, equal);
    check_problem(trigonometric_flow{}, {.levels = 3, .guidance = 3, .label_dropout = 0}, 44, 11, equal);
    check_problem(edm{}, {.self_consistency = 0.125, .levels = 2, .clip = 4}, 40, 5, [](index_t r) { return r < 2 ? 1 : 0; });
    check_problem(rectified_flow{}, {.self_consistency = 0}, 6, 0, equal);
}

TEST_CASE("shortcut_training: levels are dealt equally, to the coarsest, or at random") {
    // 64 of 128 rows and 6 levels: 32 / 4 = 8 rows for each of levels 5, 4, 3, 2, then 16 at level 1 and 16 at level 0
    auto const coarse = [](index_t r) { return r < 32 ? 5 - static_cast<int>(r / 8) : r < 48 ? 1 : 0; };
    check_problem(rectified_flow{}, {.self_consistency = 0.5, .levels = 6, .dealing = deal::coarse, .guidance = 2}, 128, 64, coarse);
    random_stream const times = random_key{8, 21}.at(draw::time);
    auto const random = [&](index_t r) { return static_cast<int>(below(times, 4, r, 1)); };
    check_problem(rectified_flow{}, {.levels = 4, .dealing = deal::at_random, .guidance = 2}, 48, 12, random);

    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(4000);
    std::map<double, int> steps;
    auto const p = build({.self_consistency = 1, .levels = 4, .dealing = deal::at_random}, fast, fast, pairs.without_labels(), {1});
    for (std::size_t r = 0; r < 4000; ++r) ++steps[p.t[r] - p.s[r]];
    CHECK(steps.size() == 4);
    for (double step : {1.0, 0.5, 0.25, 0.125}) CHECK(std::fabs(steps[step] - 1000) < 5 * std::sqrt(4000 * 0.25 * 0.75));
}

TEST_CASE("shortcut_training: the exact average velocity meets every bootstrap target to rounding, another one does not") {
    cpu host(1);
    tensor<double, cpu> const x0 = normal<double>(host, {64, 3}, 4), noise = normal<double>(host, {64, 3}, 5);
    shortcut_training const objective{.self_consistency = 1, .levels = 6};
    auto const residual = [&](exact_average_velocity net) {
        flow_map_model fast{net};
        auto const memory = host.scratch();
        auto const p = objective.build(fast, fast, batch<double, cpu>{x0.view(), noise.view()}, {3, 4}, *memory);
        tensor<double, cpu> y(host, {64, 3});
        net(p.call.x, p.call.t, p.call.s, y.view());
        double worst = 0;
        for (index_t i = 0; i < y.size(); ++i) worst = std::fmax(worst, std::fabs(y.data()[i] - p.target[i]));
        return worst;
    };
    CHECK(residual({0.4, 0.7}) < 1e-14);
    CHECK(residual({0.4, 0.7, 0.05}) > 1e-3);
}

TEST_CASE("shortcut_training: a flow row's target is the exact velocity in the mean, and on the flow's own pairs") {
    cpu host(1);
    exact_average_velocity const net{0.4, 0.7};
    // Pairs chosen so that each row's path runs along the flow at its time.
    random_key const key{3, 4};
    std::vector<double> clean, noise, velocity;
    for (index_t r = 0; r < 32; ++r) {
        double const t = static_cast<double>(below(key.at(draw::time), 8, r) + 1) / 8, x = 0.1 * static_cast<double>(r) - 1,
                     v = net.value(x, t, t);
        clean.push_back(x - t * v), noise.push_back(x + (1 - t) * v), velocity.push_back(v);
    }
    tensor<double, cpu> const x0(host, {32, 1}, clean), z(host, {32, 1}, noise);
    flow_map_model fast{exact_average_velocity{0.4, 0.7}};
    auto const memory = host.scratch();
    auto const p =
        shortcut_training{.self_consistency = 0, .levels = 3}.build(fast, fast, batch<double, cpu>{x0.view(), z.view()}, key, *memory);
    for (index_t r = 0; r < 32; ++r) CHECK(p.target[r] == doctest::Approx(velocity[static_cast<std::size_t>(r)]).epsilon(1e-13));
}

TEST_CASE("shortcut_training: without bootstrap rows it is flow matching at the grid's times") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    model flow{[](auto, auto, auto) {}, rectified_flow{}, velocity{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {9, 2}, 4);
    batch<double, backend_type> const data{x0.view()};
    auto const memory = device().scratch();
    auto const p = build({.self_consistency = 0}, fast, fast, data, {8, 2});
    auto const q = flow_matching{squared{}, grid_times{}}.build(flow, data, {8, 2}, *memory);
    CHECK(p.x == to_host(q.call.x));
    CHECK(p.t == to_host(q.call.t));
    std::vector<double> target(18);
    device().download(q.target, 18, target.data());
    CHECK(p.target == target);
}

TEST_CASE("shortcut_training: the gradient with the target held constant is that of difference quotients") {
    auto net = two_time_mlp(), older_net = two_time_mlp(8);
    flow_map_model fast{net}, older{older_net};
    labelled_pairs const pairs(8);
    check_frozen_gradient(shortcut_training{.self_consistency = 0.5, .levels = 2}, fast, older, pairs.with_labels(), {8, 21});
    check_frozen_gradient(shortcut_training{.self_consistency = 0.5, .levels = 2, .guidance = 2}, fast, fast, pairs.with_labels(), {8, 21});
}

TEST_CASE("shortcut_training: a row's problem depends on the key, its number and whether it bootstraps") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(40);
    shortcut_training const flow{.self_consistency = 0, .levels = 3},
        bootstrap{.self_consistency = 1, .levels = 3, .dealing = deal::at_random};
    for (auto const& objective : {flow, bootstrap}) {
        auto const all = build(objective, fast, fast, pairs.with_labels(), {8, 3});
        for (index_t r : {0, 7, 39}) {
            batch<double, backend_type> const one{pairs.x0.view().rows(r, 1), pairs.noise.view().rows(r, 1),
                                                  pairs.labels.view().rows(r, 1)};
            auto const alone = build(objective, fast, fast, one, random_key{8, 3}.from_row(r));
            auto const at = static_cast<std::size_t>(r);
            CHECK(alone.t[0] == all.t[at]);
            CHECK(alone.s[0] == all.s[at]);
            CHECK(alone.labels[0] == all.labels[at]);
            for (std::size_t c = 0; c < 2; ++c) CHECK(alone.target[c] == doctest::Approx(all.target[2 * at + c]).epsilon(1e-13));
        }
    }
}

TEST_CASE("shortcut_training: the same bits for any number of threads, and nothing allocated when warm") {
    std::vector<float> gradients;
    for (int threads : {1, 2}) {
        cpu host(threads);
        mlp<float, cpu> net(host, {.data = {20}, .width = 32, .blocks = 1, .classes = 4, .second_time = true});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        flow_map_model fast{net};
        tensor<float, cpu> const x0 = normal<float>(host, {200, 20}, 4);
        tensor<std::int32_t, cpu> const labels(host, {200}, labelled_pairs::numbers(200));
        batch<float, cpu> const data{x0.view(), {}, labels.view()};
        shortcut_training const objective{.guidance = 2};
        accumulate(objective, fast, data, {1, 2});
        accumulate(objective, fast, data, {1, 3});
        auto const before = allocations();
        accumulate(objective, fast, data, {1, 4});
        CHECK(allocations() == before);
        if (threads == 1) gradients = to_host(net.gradients());
        else CHECK(to_host(net.gradients()) == gradients);
    }
}

TEST_CASE("shortcut_training: refuses what it cannot do, and is a spec") {
    auto net = two_time_mlp();
    flow_map_model fast{net};
    labelled_pairs const pairs(8);
    auto const refuses = [&](shortcut_training const& objective, char const* text) {
        CHECK_THROWS_WITH(build(objective, fast, fast, pairs.without_labels(), {}), text);
    };
    refuses({},
            "domain_error: shortcut_training: 2 rows of the batch bootstrap, 7 levels need 7: take a larger batch, fewer levels or "
            "deal::at_random");
    refuses({.dealing = deal::coarse},
            "domain_error: shortcut_training: 2 rows of the batch bootstrap, 7 levels need 10: take a larger batch, fewer levels or "
            "deal::at_random");
    refuses({.self_consistency = 1.5}, "domain_error: shortcut_training: self_consistency is 1.5, it must lie in [0, 1]");
    refuses({.levels = 0}, "domain_error: shortcut_training: levels is 0, it must be 1 to 30");
    refuses({.levels = 2, .clip = -1}, "domain_error: shortcut_training: clip is -1, it must not be negative");
    refuses({.levels = 2, .decay = 1}, "domain_error: shortcut_training: decay is 1, it must be in [0, 1)");
    refuses({.levels = 2, .label_dropout = 2}, "domain_error: shortcut_training: label_dropout is 2, it must lie in [0, 1]");
    refuses(
        {.levels = 2, .guidance = 1.5},
        "shape_error: shortcut_training: guidance is 1.5 and the batch has no labels, guidance sets labels against none; 1 asks for none");
    plain_two_time_network plain{two_time_mlp()};
    flow_map_model nameless{plain};
    CHECK_THROWS_WITH(
        build({.levels = 2, .guidance = 1.5, .label_dropout = 0}, nameless, nameless, pairs.with_labels(), {}),
        "domain_error: shortcut_training: guidance is 1.5, this network does not say which label means none: it has no classes()");
    batch<double, backend_type> const mismatched{pairs.x0.view(), pairs.noise.view().rows(0, 3)};
    CHECK_THROWS_WITH(build({.levels = 2}, fast, fast, mismatched, {}),
                      "shape_error: shortcut_training: noise is [3, 2], it must be [8, 2]");
    CHECK(shortcut_training{.decay = 0.9}.target_decay(7) == 0.9);
    CHECK(to_string(shortcut_training{}) ==
          "shortcut_training{self_consistency = 0.25, levels = 7, dealing = equal, flow_times = on_grid, clip = 0, guidance = 1, "
          "label_dropout = 0.1, decay = 0.999}");
    CHECK_FALSE(shortcut_training{} == shortcut_training{.dealing = deal::coarse});
}

}  // namespace shortcut_training_tests
