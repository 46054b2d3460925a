#include <onestep/objective/continuous_consistency.hpp>

#include <onestep/model/consistency_model.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/edm.hpp>

#include "continuous.hpp"
#include "frozen.hpp"

namespace continuous_consistency_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::continuous;

namespace {

/// A density of one point.
struct at_pure_noise {
    static constexpr char const* name = "at_pure_noise";
    double sample(process auto const& p, random_stream, index_t) const { return p.t_max(); }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("continuous_consistency: rows, noise drawn and given, warm-up and norms are the formulas") {
    auto net = small_network();
    consistency_model circle{net, trigonometric_flow{.sigma_data = 0.5}};
    random_key const key{8, 21};
    std::size_t const n = 70, d = 2;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, d}, 4);
    tensor<double, backend_type> z(device(), {n, d});
    fill_normal(z.view(), key.at(draw::noise));
    numbers const clean = x0.to_host(), noise = z.to_host(), levels = drawn_levels(key, n);
    auto const raw = [&](index_t warmup) {
        return build(continuous_consistency(along_data{}, {.warmup = warmup}, plain_tangent{}), circle, {x0.view()}, key);
    };
    auto const whole = raw(0), none = raw(21'000'000'000'000'000), part = raw(70), ended = raw(21);
    auto const given = build(continuous_consistency(along_data{}, at_once, plain_tangent{}), circle, {x0.view(), z.view()}, key);
    CHECK(given.target == whole.target);
    for (std::size_t i = 0; i < n * d; ++i) {
        double const a = std::atan(levels[i / d] / 0.5), dx = std::cos(a) * 0.5 * noise[i] - std::sin(a) * clean[i];
        CHECK(whole.x[i] == doctest::Approx((std::cos(a) * clean[i] + std::sin(a) * 0.5 * noise[i]) / 0.5).epsilon(1e-12));
        CHECK(whole.t[i / d] == doctest::Approx(a).epsilon(1e-12));
        CHECK(whole.rows[i / d].a == 0);
        CHECK(whole.rows[i / d].b == 1);
        CHECK(whole.rows[i / d].weight == doctest::Approx(1 / levels[i / d]).epsilon(1e-12));
        CHECK(none.g(i) == doctest::Approx(-std::cos(a) * std::cos(a) * (0.5 * whole.output[i] - dx)).epsilon(1e-9));
        CHECK(part.g(i) == doctest::Approx(none.g(i) + 0.3 * (whole.g(i) - none.g(i))).epsilon(1e-9));
        CHECK(ended.target[i] == whole.target[i]);
    }
    auto const check = [&](auto const& norm, auto const& expected) {
        auto const p = build(continuous_consistency(along_data{}, at_once, norm), circle, {x0.view()}, key);
        for (std::size_t r = 0; r < n; ++r)
            for (std::size_t i = r * d; i < r * d + d; ++i)
                CHECK(p.g(i) == doctest::Approx(expected(whole.g(i), std::hypot(whole.g(r * d), whole.g(r * d + 1)))).epsilon(1e-9));
    };
    check(rms_tangent{.c = 0.2}, [](double g, double size) { return g / (size / std::sqrt(2.0) + 0.2); });
    check(norm_tangent{.c = 0.2}, [](double g, double size) { return g / (size + 0.2); });
    check(clamped_tangent{.limit = 0.3}, [](double g, double) { return std::fmin(std::fmax(g, -0.3), 0.3); });
}

TEST_CASE("continuous_consistency: without the derivative it is velocity matching") {
    auto net = small_network();
    consistency_model circle{net, trigonometric_flow{.sigma_data = 0.5}};
    model flow{net, trigonometric_flow{.sigma_data = 0.5}, trig_velocity{.sigma_data = 0.5}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {12, 2}, 4);
    random_key const key{8, 0};  // the first step: r = 0
    log_normal const levels{.mean = -1, .deviation = 1.4};
    auto const gradient = [&](auto const& objective, auto& model) {
        fill(net.gradients(), 0);
        accumulate(objective, model, x0.view(), key);
        return to_host(net.gradients());
    };
    // cos^2 (sd F - dx/da) on F against sd (sd F - dx/da)
    auto const weight = [](double a) { return std::cos(a) * std::cos(a) / (0.5 * 0.5 * std::tan(a)); };
    auto const ours = gradient(continuous_consistency(along_data{}, {}, plain_tangent{}), circle),
               theirs = gradient(flow_matching(squared{}, levels, time_weight(weight)), flow);
    CHECK(relative_difference(ours, theirs) < 1e-12);
}

TEST_CASE("continuous_consistency: its gradient is that of difference quotients with the target frozen") {
    auto net = small_network(), old = small_network();
    fill_normal(old.parameters().reshaped({1, old.parameters().size()}), random_key{9}.at(draw::user), 0.3);
    model teacher{old, edm{}, edm_preconditioned{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {5, 2}, 4), noise = normal<double>(device(), {5, 2}, 5);
    data_type const data{x0.view(), noise.view()};
    consistency_model circle{net, trigonometric_flow{}};
    consistency_model straight{net, rectified_flow{}};
    auto const check = [&](auto const& objective, auto& student) { check_frozen_gradient(objective, student, student, data, {8, 3}); };
    check(continuous_consistency{}, circle);
    check(continuous_consistency{teacher, {.warmup = 6}, norm_tangent{}, log_normal{-0.8, 1.6}, unit_weight{}}, circle);
    check(continuous_consistency(along_data{}, {.warmup = 0, .sigma_data = 0.5}), straight);
    check(continuous_consistency(by_differences{}, {.warmup = 0, .sigma_data = 0.5}, clamped_tangent{}), straight);
}

TEST_CASE("continuous_consistency: a row sees the same numbers in any batch") {
    auto net = small_network();
    consistency_model circle{net, trigonometric_flow{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {64, 2}, 4);
    continuous_consistency const objective{};
    auto const all = build(objective, circle, {x0.view()}, {8, 21});
    for (index_t r : {0, 1, 17, 63}) {
        CAPTURE(r);
        auto const one = build(objective, circle, {x0.view().rows(r, 1)}, random_key{8, 21}.from_row(r));
        auto const at = static_cast<std::size_t>(r);
        CHECK(one.t[0] == all.t[at]);
        for (std::size_t c = 0; c < 2; ++c) {
            CHECK(one.x[c] == all.x[2 * at + c]);
            CHECK(one.target[c] == doctest::Approx(all.target[2 * at + c]).epsilon(1e-12));  // products sum in another order
        }
    }
    CHECK(build(objective, circle, {x0.view()}, {8, 22}).t[0] != all.t[0]);
}

TEST_CASE("continuous_consistency: rows at or below the boundary weigh nothing") {
    auto net = small_network();
    consistency_model song{net, edm{}, consistency_preconditioned{.sigma_data = 0.5, .sigma_min = 0.5}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {40, 2}, 4);
    auto const check = [&](auto const& objective) {
        auto const p = build(objective, song, {x0.view()}, {8, 21});
        numbers const levels = drawn_levels({8, 21}, 40);
        int below = 0;
        for (std::size_t r = 0; r < 40; ++r) {
            bool const still = levels[r] <= 0.5;
            below += still;
            CHECK((p.rows[r].weight == 0) == still);
            CHECK(p.t[r] == doctest::Approx(std::log(levels[r]) / 4).epsilon(1e-12));
            for (std::size_t i = 2 * r; i < 2 * r + 2; ++i) {
                CHECK(std::isfinite(p.target[i]));
                if (still) CHECK(p.target[i] == 0);
            }
        }
        CHECK(below > 5);
        CHECK(below < 35);
    };
    model teacher{net, rectified_flow{}, velocity{}};
    check(continuous_consistency(along_data{}, at_once));
    check(continuous_consistency{teacher, at_once});
    check(continuous_consistency(by_differences{}, at_once));
}

TEST_CASE("continuous_consistency: refuses what does not fit") {
    auto net = small_network();
    consistency_model circle{net, trigonometric_flow{}};
    consistency_model straight{net, rectified_flow{}};
    model teacher{net, rectified_flow{}, velocity{}};
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 1), wrong = normal<double>(device(), {4, 3}, 1);
    auto const step = [&](auto const& objective, auto& student, data_type const& data) { accumulate(objective, student, data, {1, 2}); };
    CHECK_THROWS_WITH_AS(step(continuous_consistency{}, circle, {x0.view(), wrong.view()}),
                         "shape_error: continuous_consistency: noise is [4, 3], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(
        step(continuous_consistency{}, straight, {x0.view()}),
        "domain_error: continuous_consistency: the model's target tells no sigma_data, give the data's deviation as .sigma_data",
        domain_error);
    CHECK_THROWS_WITH_AS(step(continuous_consistency{teacher, {.guidance = 2}}, circle, {x0.view()}),
                         "domain_error: continuous_consistency: guidance is 2 and the batch has no labels, without labels it must be 1",
                         domain_error);
    CHECK_THROWS_WITH_AS(continuous_consistency(along_data{}, {.guidance = 2}),
                         "domain_error: continuous_consistency: guidance is 2 and there is no teacher, without one it must be 1",
                         domain_error);
    CHECK_THROWS_WITH_AS(continuous_consistency(along_data{}, {.warmup = -1}),
                         "domain_error: continuous_consistency: warmup is -1, it must not be negative", domain_error);
    CHECK_THROWS_WITH_AS(continuous_consistency(along_data{}, {.sigma_data = -1}),
                         "domain_error: continuous_consistency: sigma_data is -1, it must be > 0, or 0 for the target's own", domain_error);
    CHECK_THROWS_WITH_AS(continuous_consistency(along_data{}, {}, rms_tangent{.c = 0}), "domain_error: rms_tangent: c is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_WITH_AS(continuous_consistency(by_differences{.step = 0}), "domain_error: by_differences: step is 0, it must be in (0, 1]",
                         domain_error);
    CHECK_THROWS_WITH_AS(
        step(continuous_consistency(along_data{}, {.sigma_data = 1}, rms_tangent{}, at_pure_noise{}), straight, {x0.view()}),
        "domain_error: continuous_consistency: t is 1 with alpha = 0, draw times before this one", domain_error);
    for (double gradient : to_host(net.gradients())) CHECK(gradient == 0);
}

TEST_CASE("continuous_consistency: says what it is") {
    auto net = small_network();
    model teacher{net, edm{}, edm_preconditioned{}};
    CHECK(to_string(continuous_consistency{}) ==
          "continuous_consistency{source = along_data{}, numbers = continuous_consistency_options{warmup = 10000, sigma_data = 0, "
          "guidance = 1}, norm = rms_tangent{c = 0.1}, density = log_normal{mean = -1, deviation = 1.4}, weight = "
          "inverse_noise_level{}}");
    CHECK(
        to_string(continuous_consistency{teacher, {.warmup = 1000, .guidance = 2}, norm_tangent{}, log_normal{-0.8, 1.6}, unit_weight{}}) ==
        "continuous_consistency{source = teacher{network = " + to_string(net.options()) +
            ", process = edm{sigma_min = 0.002, sigma_max = 80}, target = edm_preconditioned{sigma_data = 0.5}}, numbers = "
            "continuous_consistency_options{warmup = 1000, sigma_data = 0, guidance = 2}, norm = norm_tangent{c = 0.1}, density = "
            "log_normal{mean = -0.8, deviation = 1.6}, weight = unit_weight{}}");
    static_assert(std::same_as<decltype(continuous_consistency{teacher}), continuous_consistency<from_teacher<decltype(teacher)>>>);
    static_assert(std::same_as<decltype(continuous_consistency{by_differences{}}), continuous_consistency<by_differences>>);
}

}  // namespace continuous_consistency_tests
