#include <onestep/objective/consistency_training.hpp>

#include <onestep/objective/label_dropout.hpp>
#include <onestep/objective/snr_weighting.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/trainer.hpp>

#include "../counting_allocator.hpp"
#include "consistency.hpp"
#include "frozen.hpp"

namespace consistency_training_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::consistency;

namespace {

/// A network that answers NaN from a time on that it is told; below it 1.
struct nan_from {
    double time;
    void operator()(view<double const, backend_type> x, view<double const, backend_type> t, view<double, backend_type> y) const {
        auto const told = to_host(t);
        numbers values(static_cast<std::size_t>(x.size()), 1.0);
        for (std::size_t i = 0; i < values.size(); ++i)
            if (told[i / static_cast<std::size_t>(x.cols())] >= time) values[i] = std::nan("");
        device().upload(values.data(), y.size(), y.data());
    }
};

template <class Process> void check_build(Process const& process, double low, double high) {
    CAPTURE(Process::name);
    index_t const n = 70;
    given_data const given(n);
    auto net = small_mlp(3, 3), old = small_mlp(8, 3);
    consistency_model const student{net, process};
    consistency_model older{old, process};
    listed_pairs const pairs = random_pairs(process, n, low, high);
    consistency_training const objective(squared{}, pairs, inverse_gap{}, no_average{});
    numbers const clean = given.x0.to_host();
    auto const check = [&](data_type const& data, random_key key, numbers const& noise, std::vector<std::int32_t> const& labels) {
        host_problem const p = build(objective, student, older, data, key);
        check_student(p, process, pairs.t, mixed(process, pairs.t, clean, noise));
        numbers const expected = printed_values(process, old, mixed(process, pairs.s, clean, noise), pairs.s, labels);
        CHECK(relative_difference(p.target, expected) < 1e-11);
        for (std::size_t r = 0; r < pairs.t.size(); ++r)
            CHECK(p.rows[r].weight ==
                  doctest::Approx(1 / (noise_to_signal(process, pairs.t[r]) - noise_to_signal(process, pairs.s[r]))).epsilon(1e-9));
    };
    check(given.pairs(), {}, given.noise.to_host(), {});
    check(given.labelled(), {}, given.noise.to_host(), given_data::classes(n));
    random_key const key{5, 77};
    tensor<double, backend_type> drawn(device(), {n, 2});
    fill_normal(drawn.view(), key.at(draw::noise));
    check({given.x0.view()}, key, drawn.to_host(), {});
}

}  // namespace

TEST_CASE("consistency_training: the same noise at both times, f of the older model as target, on any process") {
    check_build(edm{}, 0.01, 50);
    check_build(rectified_flow{}, 0.01, 50);
    check_build(trigonometric_flow{.sigma_data = 0.5}, 0.01, 50);
    check_build(variance_preserving{}, 0.02, 100);
}

TEST_CASE("consistency_training: pairs come from the stream of times and the training step") {
    given_data const given(300);
    auto net = small_mlp();
    consistency_model student{net, edm{}};
    neighbouring_levels const pairs{doubling{.from = 4, .to = 32, .steps = 40}, log_normal_level{}};
    for (std::uint64_t step : {0, 15, 60}) {
        random_key const key{9, step, 1000};
        host_problem const p =
            build(consistency_training(squared{}, pairs, edm_weight{}, no_average{}), student, student, given.pairs(), key);
        for (index_t r = 0; r < 300; ++r) {
            time_pair const at = pairs.sample(edm{}, key.at(draw::time), r, static_cast<index_t>(step));
            CHECK(p.t[static_cast<std::size_t>(r)] == doctest::Approx(std::log(at.t) / 4).epsilon(1e-14));
            CHECK(p.rows[static_cast<std::size_t>(r)].weight ==
                  doctest::Approx((at.t * at.t + 0.25) / (0.25 * at.t * at.t)).epsilon(1e-13));
        }
    }
}

TEST_CASE("consistency_training: at the boundary and below the target is the sample, whatever the network says") {
    given_data const given(3);
    auto net = small_mlp();
    numbers const clean = given.x0.to_host(), noise = given.noise.to_host();
    auto const check = [&](auto const& process, listed_pairs const& pairs, double of_noise, double tolerance) {
        consistency_model const student{net, process};
        consistency_model older{nan_from{-HUGE_VAL}, process};  // never looked at
        host_problem const p = build(consistency_training(squared{}, pairs, unit_weight{}, no_average{}), student, older, given.pairs());
        for (std::size_t i = 0; i < clean.size(); ++i)
            CHECK(std::fabs(p.target[i] - (clean[i] + of_noise * noise[i])) <= tolerance * std::fabs(clean[i]));
    };
    check(edm{}, {{0.01, 2, 80}, {0, 0, 0}}, 0, 0);
    check(edm{}, {{0.01, 2, 80}, {0.002, 0.002, 0.002}}, 0.002, 1e-15);
    check(edm{}, {{0.01, 2, 80}, {0.001, 0.001, 0.001}}, 0.001, 1e-15);
    check(rectified_flow{}, {{0.01, 0.4, 0.99}, {0, 0, 0}}, 0, 0);
    check(trigonometric_flow{}, {{0.01, 0.4, 1.5}, {0, 0, 0}}, 0, 0);
    // Rows that are at the boundary stand beside rows that are not, and do not take what the network says.
    consistency_model const student{net, rectified_flow{}};
    consistency_model older{nan_from{0.7}, rectified_flow{}};
    listed_pairs const pairs{{0.9, 0.8, 0.99}, {0, 0.5, 0}};  // asked at 0.9, 0.5 and 0.99
    host_problem const p = build(consistency_training(squared{}, pairs, unit_weight{}, no_average{}), student, older, given.pairs());
    for (std::size_t i : {0u, 1u, 4u, 5u}) CHECK(p.target[i] == clean[i]);
    for (std::size_t i : {2u, 3u}) CHECK(p.target[i] == doctest::Approx(0.5 * clean[i] + 0.5 * noise[i] - 0.5).epsilon(1e-14));
}

TEST_CASE("consistency_training: rows whose t lies at the boundary weigh nothing") {
    given_data const given(3);
    auto net = small_mlp();
    consistency_model student{net, edm{}};
    listed_pairs const pairs{{0.002, 0, 3}, {0, 0, 1}};
    consistency_training const objective(squared{}, pairs, inverse_gap{}, no_average{});
    host_problem const p = build(objective, student, student, given.pairs());
    CHECK(p.rows[0].weight == 0);
    CHECK(p.rows[1].weight == 0);
    CHECK(p.rows[2].weight == 0.5);
    for (double t : p.t) CHECK(std::isfinite(t));
    CHECK(std::isfinite(accumulate(objective, student, given.pairs(), {}).weighted));
}

TEST_CASE("consistency_training: the gradient is that of difference quotients with the target held constant") {
    given_data const given(6);
    auto net = small_mlp(3, 3), old = small_mlp(8, 3);
    consistency_model student{net, edm{}}, older{old, edm{}};
    listed_pairs const pairs = random_pairs(edm{}, 6, 0.05, 5);
    check_frozen_gradient(consistency_training(squared{}, pairs, unit_weight{}, no_average{}), student, older, given.labelled(), {});
    check_frozen_gradient(consistency_training(pseudo_huber{.c = 0.3}, pairs, inverse_gap{}, no_average{}), student, student, given.pairs(),
                          {});
}

TEST_CASE("consistency_training: a withheld label is withheld from student and target") {
    index_t const n = 400;
    given_data const given(n);
    auto net = small_mlp(3, 3);
    consistency_model student{net, rectified_flow{}};
    listed_pairs const pairs = random_pairs(rectified_flow{}, n, 0.1, 10);
    consistency_training const plain(squared{}, pairs, unit_weight{}, no_average{});
    random_key const key{6, 1};
    auto const memory = device().scratch();
    auto const p = label_dropout{plain, 0.3}.build(student, student, given.labelled(), key, *memory);
    auto const labels = to_host(p.call.labels);
    int none = 0;
    for (std::size_t r = 0; r < labels.size(); ++r) {
        none += labels[r] == 3;
        CHECK((labels[r] == 3 || labels[r] == static_cast<std::int32_t>(r % 3)));
    }
    CHECK(std::fabs(none - 0.3 * n) < 5 * std::sqrt(0.21 * n));
    numbers target(static_cast<std::size_t>(2 * n));
    device().download(p.target, 2 * n, target.data());
    numbers const x_s = mixed(rectified_flow{}, pairs.s, given.x0.to_host(), given.noise.to_host());
    CHECK(relative_difference(target, printed_values(rectified_flow{}, net, x_s, pairs.s, labels)) < 1e-12);
    CHECK(relative_difference(target, printed_values(rectified_flow{}, net, x_s, pairs.s, given_data::classes(n))) > 1e-3);
}

TEST_CASE("consistency_training: a row's problem does not depend on the batch around it") {
    given_data const given(150);
    auto net = small_mlp();
    consistency_model student{net, edm{}};
    auto const objective = improved_consistency_training({.elements = 2, .steps = 800});
    random_key const key{3, 120, 0};
    host_problem const all = build(objective, student, student, {given.x0.view()}, key);
    tensor<double, backend_type> const& x0 = given.x0;
    host_problem const part = build(objective, student, student, {x0.view().rows(100, 20)}, key.from_row(100));
    for (std::size_t i = 0; i < 40; ++i) {
        CHECK(part.x[i] == all.x[200 + i]);
        CHECK(part.target[i] == doctest::Approx(all.target[200 + i]).epsilon(1e-13));
        CHECK(part.rows[i / 2].weight == all.rows[100 + i / 2].weight);
    }
}

TEST_CASE("consistency_training: the three recipes, and the average that the trainer keeps for them") {
    auto const first = first_consistency_training({.steps = 800'000});
    CHECK(first.target_decay(0) == doctest::Approx(0.9).epsilon(1e-14));
    CHECK(first.target_decay(400'000) == doctest::Approx(std::pow(0.9, 2.0 / 107)).epsilon(1e-14));
    CHECK(to_string(first) ==
          "consistency_training{distance = squared{}, pairs = neighbouring_levels{curriculum = square_root_levels{from = 2, to = 150, "
          "steps = 800000}, choice = uniform_level{}, grid = karras_grid{rho = 7, sigma_min = 0, sigma_max = 0}}, weighting = "
          "unit_weight{}, average = adaptive_average{mu = 0.9, divisor = levels}}");
    auto const improved = improved_consistency_training({.elements = 3072});
    CHECK(improved.distance().c == doctest::Approx(0.0299).epsilon(2e-3));
    CHECK(improved.pairs().levels(0) == 11);
    CHECK_FALSE(has_target_decay<std::remove_cvref_t<decltype(improved)>>);
    auto const easy = easy_consistency_training({.base = 256, .stage = 0});
    CHECK(easy.pairs().gap.base == 256);
    CHECK_FALSE(has_target_decay<std::remove_cvref_t<decltype(easy)>>);

    // After the first step the average is 0.9 of the initial weights and 0.1 of the new ones.
    given_data const given(8);
    auto net = small_mlp();
    numbers const before = to_host(net.parameters());
    consistency_model student{net, edm{}};
    trainer t{student, first, adam{.rate = 0.05}, {.batch = 8}};
    t.run(given.pairs(), 1);
    numbers const after = to_host(net.parameters()), kept = to_host(t.target().model().network().parameters());
    double worst = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) worst = std::fmax(worst, std::fabs(kept[i] - 0.9 * before[i] - 0.1 * after[i]));
    CHECK(worst < 1e-14);
    CHECK(relative_difference(after, before) > 1e-3);
}

#if !defined(ONESTEP_TEST_BACKEND_GPU)
TEST_CASE("consistency_training: a warm step allocates nothing") {
    if (!counts_allocations) return;
    given_data const given(40);
    auto net = small_mlp(3, 3);
    consistency_model student{net, edm{}};
    auto const warm = [&](auto const& objective, data_type const& data) {
        for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, student, data, {1, k});
        std::size_t const before = allocations();
        accumulate(objective, student, data, {1, 3});
        return allocations() - before;
    };
    CHECK(warm(improved_consistency_training({.elements = 2}), {given.x0.view()}) == 0);
    CHECK(warm(easy_consistency_training(), given.labelled()) == 0);
    CHECK(warm(first_consistency_training(), given.pairs()) == 0);
}
#endif

TEST_CASE("consistency_training: refuses noise of another shape and pairs that the process does not have") {
    given_data const given(4), other(3);
    auto net = small_mlp();
    consistency_model student{net, rectified_flow{}};
    data_type const mismatched{given.x0.view(), other.noise.view()};
    CHECK_THROWS_WITH_AS(build(easy_consistency_training(), student, student, mismatched),
                         "shape_error: consistency_training: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(build(first_consistency_training(), student, student, given.pairs()),
                         "domain_error: karras_grid: the process starts at an infinite noise level, give sigma_max, 80 for example",
                         domain_error);
    CHECK_THROWS_AS(build(first_consistency_training({.from = 100}, {.sigma_max = 80}), student, student, given.labelled()), shape_error);
    CHECK_NOTHROW(build(first_consistency_training({}, {.sigma_max = 80}), student, student, given.pairs()));
}

}  // namespace consistency_training_tests
