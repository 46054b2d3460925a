#include <onestep/objective/progressive_distillation.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/trig_velocity.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/karras_grid.hpp>
#include <onestep/time/power_grid.hpp>

#include "../counting_allocator.hpp"
#include "built.hpp"

namespace progressive_distillation_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::built;

namespace {

mlp_options const small{.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}, .classes = 3};

mlp<double, backend_type> other_mlp(std::uint64_t seed) {
    mlp<double, backend_type> net(device(), small);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{seed}.at(draw::user), 0.3);
    return net;
}

/// Two DDIM steps as Salimans and Ho print them, and the target from z''.
template <class Teacher>
std::vector<double> printed_target(Teacher& teacher, std::vector<double> const& z, std::vector<double> const& t,
                                   std::vector<double> const& m, std::vector<double> const& s, std::vector<std::int32_t> const& labels,
                                   double guidance) {
    auto const& p = teacher.process();
    std::size_t const d = z.size() / t.size();
    auto const says = [&](std::vector<double> const& x, std::vector<double> const& at) {
        std::vector<double> clean = clean_of(teacher, x, at, labels);
        if (guidance == 1) return clean;
        std::vector<double> const none = clean_of(teacher, x, at);
        for (std::size_t i = 0; i < clean.size(); ++i) clean[i] = none[i] + guidance * (clean[i] - none[i]);
        return clean;
    };
    auto const ddim_from = [&](std::vector<double> const& x, std::vector<double> const& from, std::vector<double> const& to) {
        std::vector<double> const clean = says(x, from);
        std::vector<double> out(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            double const a = from[i / d], b = to[i / d];
            out[i] = p.alpha(b) * clean[i] + p.sigma(b) / p.sigma(a) * (x[i] - p.alpha(a) * clean[i]);
        }
        return out;
    };
    std::vector<double> out = ddim_from(ddim_from(z, t, m), m, s);
    for (std::size_t i = 0; i < out.size(); ++i) {
        double const from = t[i / d], to = s[i / d], r = p.sigma(to) / p.sigma(from);
        out[i] = (out[i] - r * z[i]) / (p.alpha(to) - r * p.alpha(from));
    }
    return out;
}

template <class Model, class Teacher, class Grid> void check_build(Model& student, Teacher& teacher, int steps, Grid const& grid) {
    auto const& p = student.process();
    std::string const process = to_string(p), spacing = Grid::name;
    CAPTURE(process);
    CAPTURE(spacing);
    index_t const n = 140;
    random_key const key{5, 77, 3};
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4), noise = normal<double>(device(), {n, 2}, 5);
    std::vector<std::int32_t> names;
    for (index_t r = 0; r < n; ++r) names.push_back(static_cast<std::int32_t>(r % 3));
    tensor<std::int32_t, backend_type> const labels(device(), {n}, names);
    std::vector<double> t, m, s;
    for (index_t r = 0; r < n; ++r) {
        auto const i = static_cast<std::size_t>(below(key.at(draw::time), static_cast<std::uint64_t>(steps), r));
        auto const once = times_of(grid, p, steps), twice = times_of(grid, p, 2 * steps);
        t.push_back(once[i]), m.push_back(twice[2 * i + 1]), s.push_back(once[i + 1]);
    }
    auto const check = [&](batch<double, backend_type> const& data, std::vector<double> const& unit, double guidance) {
        std::vector<std::int32_t> const given = data.labels.empty() ? std::vector<std::int32_t>{} : names;
        built_problem const b =
            build(progressive_distillation(teacher, {.steps = steps, .guidance = guidance}, squared{}, truncated_snr{}, grid), student,
                  data, key);
        std::vector<double> const clean = x0.to_host();
        std::vector<double> z(clean.size());
        for (std::size_t i = 0; i < z.size(); ++i) z[i] = p.alpha(t[i / 2]) * clean[i] + p.sigma(t[i / 2]) * unit[i];
        CHECK(relative_difference(b.target, printed_target(teacher, z, t, m, s, given, guidance)) < 1e-9);
        CHECK(b.labels == given);
        for (std::size_t r = 0; r < t.size(); ++r) {
            network_input const ask = student.input_at(t[r]);
            marginal const at = marginal_at(p, t[r]);
            auto const [u, v] = student.target().weights(at);
            double const determinant = at.alpha * v - at.sigma * u, snr = at.alpha * at.alpha / (at.sigma * at.sigma);
            CHECK(b.t[r] == doctest::Approx(ask.time).epsilon(1e-14));
            CHECK(b.x[2 * r] == doctest::Approx(ask.scale * z[2 * r]).epsilon(1e-13));
            CHECK(b.rows[r].a * ask.scale == doctest::Approx(v / determinant).epsilon(1e-12));
            CHECK(b.rows[r].b == doctest::Approx(-at.sigma / determinant).epsilon(1e-12));
            CHECK(b.rows[r].weight == doctest::Approx(std::fmax(1, snr)).epsilon(1e-12));
        }
    };
    check({x0.view(), noise.view()}, noise.to_host(), 1);
    check({x0.view(), noise.view(), labels.view()}, noise.to_host(), 1);
    check({x0.view(), noise.view(), labels.view()}, noise.to_host(), 2.5);
    check({x0.view()}, drawn_noise(x0.shape(), key), 1);
}

}  // namespace

TEST_CASE("progressive_distillation: the target is that of two DDIM steps as they are printed, on any process") {
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}};
    model flow_teacher{old, rectified_flow{}, onestep::x0{}};
    check_build(flow, flow_teacher, 4, uniform_grid{});
    check_build(flow, flow_teacher, 1, uniform_grid{});
    model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    model karras_teacher{old, edm{}, edm_preconditioned{.sigma_data = 0.7}};
    check_build(karras, karras_teacher, 5, power_grid{7});
    model ddpm{net, variance_preserving{}, v_prediction{}};
    model ddpm_teacher{old, variance_preserving{}, epsilon{}};
    check_build(ddpm, ddpm_teacher, 3, uniform_grid{});
    model turn{net, trigonometric_flow{}, trig_velocity{}};
    model turn_teacher{old, trigonometric_flow{}, trig_velocity{}};
    check_build(turn, turn_teacher, 8, uniform_grid{});
}

TEST_CASE("progressive_distillation: the gradient is that of difference quotients, and the target does not move with the student") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4);
    tensor<std::int32_t, backend_type> const labels(device(), {6}, {0, 1, 2, 2, 1, 0});
    batch<double, backend_type> const data{x0.view(), {}, labels.view()};
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}};
    model const teacher{old, rectified_flow{}, velocity{}};
    check_loss_gradient(progressive_distillation{teacher, {.steps = 4}}, flow, data, {1, 2});
    check_loss_gradient(progressive_distillation{teacher, {.steps = 3, .guidance = 2}, pseudo_huber{.c = 0.3}, snr_plus_one{}}, flow, data,
                        {1, 2});
    random_key const key{1, 2};
    progressive_distillation const objective{teacher};
    auto const before = build(objective, flow, data, key).target;
    fill(net.parameters(), 0.1);
    CHECK(build(objective, flow, data, key).target == before);
    fill(old.parameters(), 0.1);
    CHECK(build(objective, flow, data, key).target != before);
}

TEST_CASE("progressive_distillation: where the step ends in the data the target is the teacher's second answer") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {9, 2}, 4), noise = normal<double>(device(), {9, 2}, 5);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    built_problem const b = build(progressive_distillation{flow, {.steps = 1}}, flow, {x0.view(), noise.view()}, {});
    auto const first = clean_of(flow, noise.to_host(), std::vector<double>(9, 1));
    std::vector<double> half = noise.to_host();
    for (std::size_t i = 0; i < half.size(); ++i) half[i] = 0.5 * first[i] + 0.5 * half[i];  // at t = 1 x is the noise
    CHECK(relative_difference(b.target, clean_of(flow, half, std::vector<double>(9, 0.5))) < 1e-14);
    row_step const last = two_steps_in_one(flow, 0.25, 0.125, 0);
    CHECK(last.x == doctest::Approx(last.inner_x).epsilon(1e-15));  // x0 = x_m - F / 8 and nothing of D(x_t, t)
    CHECK(last.second == -0.125);
}

TEST_CASE("progressive_distillation: a fine grid loses no digits in float") {
    index_t const n = 64;
    tensor<float, backend_type> const clean = normal<float>(device(), {n, 2}, 4), noise = normal<float>(device(), {n, 2}, 5);
    mlp_options const options{.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}};
    auto net = lively_mlp<float>(options);
    auto same = lively_mlp<double>(options);
    std::vector<float> const narrow = to_host(net.parameters());
    std::vector<double> const wide(narrow.begin(), narrow.end());
    device().upload(wide.data(), same.parameters().size(), same.parameters().data());
    tensor<double, backend_type> const exact = normal<double>(device(), {n, 2}, 4), unit = normal<double>(device(), {n, 2}, 5);
    model flow{net, rectified_flow{}, velocity{}};
    model reference{same, rectified_flow{}, velocity{}};
    auto const memory = device().scratch();
    auto const p = progressive_distillation{flow, {.steps = 4096}}.build(flow, batch<float, backend_type>{clean.view(), noise.view()},
                                                                         {1, 2}, *memory);
    std::vector<float> target(2 * static_cast<std::size_t>(n));
    device().download(p.target, 2 * n, target.data());
    auto const b = build(progressive_distillation{reference, {.steps = 4096}}, reference, {exact.view(), unit.view()}, {1, 2});
    CHECK(relative_difference(std::vector<double>(target.begin(), target.end()), b.target) < 3e-6);
}

TEST_CASE("progressive_distillation: a row's problem does not depend on the batch around it") {
    index_t const n = 150;
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    progressive_distillation const objective{flow, {.steps = 8}};
    random_key const key{3, 12};
    built_problem const whole = build(objective, flow, {x0.view()}, key);
    for (index_t first : {0, 1, 77, 149}) {
        built_problem const one = build(objective, flow, {x0.view().rows(first, 1)}, key.from_row(first));
        auto const r = static_cast<std::size_t>(first);
        CHECK(one.t[0] == whole.t[r]);
        CHECK(one.x[1] == whole.x[2 * r + 1]);
        CHECK(one.target[1] == doctest::Approx(whole.target[2 * r + 1]).epsilon(1e-14));
        CHECK(one.rows[0].weight == whole.rows[r].weight);
    }
}

TEST_CASE("progressive_distillation: a warm call allocates nothing") {
    if (!counts_allocations) return;
    tensor<double, backend_type> const x0 = normal<double>(device(), {100, 2}, 4);
    tensor<std::int32_t, backend_type> const labels(device(), {100}, std::vector<std::int32_t>(100, 1));
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
    progressive_distillation const objective{teacher, {.steps = 4, .guidance = 2}};
    batch<double, backend_type> const data{x0.view(), {}, labels.view()};
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, data, {1, k});
    std::size_t const before = allocations();
    accumulate(objective, flow, data, {1, 9});
    CHECK(allocations() == before);
}

TEST_CASE("progressive_distillation: refuses what does not fit") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), few = normal<double>(device(), {3, 2}, 4);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    model noisy{net, edm{.sigma_max = 80}, edm_preconditioned{}}, other{net, edm{.sigma_max = 50}, edm_preconditioned{}};
    model by_epsilon{net, rectified_flow{}, epsilon{}};
    batch<double, backend_type> const data{x0.view()};
    CHECK_THROWS_WITH_AS((progressive_distillation{flow, {.steps = 0}}),
                         "domain_error: progressive_distillation: steps is 0, at least 1 is needed", domain_error);
    CHECK_THROWS_WITH_AS(build(progressive_distillation{flow}, flow, {x0.view(), few.view()}, {}),
                         "shape_error: progressive_distillation: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(build(progressive_distillation{other}, noisy, data, {}),
                         "domain_error: progressive_distillation: the student's process is not the teacher's, both must have the same "
                         "numbers; `matched` brings a teacher to another process",
                         domain_error);
    CHECK_THROWS_WITH_AS(build(progressive_distillation{flow, {.guidance = 2}}, flow, data, {}),
                         "domain_error: row_steps: guidance is 2 and the batch has no labels, without labels it must be 1", domain_error);
    CHECK_THROWS_AS(build(progressive_distillation{by_epsilon, {.steps = 1}}, flow, data, {}), domain_error);
    tensor<double, backend_type> const many = normal<double>(device(), {40, 2}, 4);
    CHECK_THROWS_WITH_AS(
        build(progressive_distillation(noisy, {.steps = 4}, squared{}, truncated_snr{}, karras_grid{}), noisy, {many.view()}, {}),
        "domain_error: progressive_distillation: step 3 of 4 leads from 0.002 to 0, and the grid of twice as many has 0.002, it must lie "
        "between them",
        domain_error);
    auto const anything = [](auto const&, auto const&, auto const&) {};
    model const nameless{anything, edm{}, epsilon{}};
    CHECK(to_string(progressive_distillation{nameless, {.steps = 8}}) ==
          "progressive_distillation{teacher = teacher{process = edm{sigma_min = 0.002, sigma_max = 80}, target = epsilon{}}, steps = 8, "
          "guidance = 1, distance = squared{}, weight = truncated_snr{}, grid = uniform_grid{}}");
}

}  // namespace progressive_distillation_tests
