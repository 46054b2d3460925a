#include <onestep/objective/k_step_distillation.hpp>

#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/karras_grid.hpp>
#include <onestep/time/trailing_grid.hpp>

#include "../counting_allocator.hpp"
#include "built.hpp"

namespace k_step_distillation_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::built;

namespace {

mlp_options const small{.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}, .classes = 3};

template <class Model, class Grid> void check_build(Model& student, int steps, Grid const& grid) {
    auto const& p = student.process();
    std::string const process = to_string(p);
    CAPTURE(process);
    index_t const n = 140;
    random_key const key{5, 77, 3};
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4), noise = normal<double>(device(), {n, 2}, 5);
    built_problem const b = build(k_step_distillation({.steps = steps}, squared{}, grid), student, {x0.view(), noise.view()}, key);
    CHECK(b.target == x0.to_host());
    auto const clean = x0.to_host(), z = noise.to_host();
    auto const times = times_of(grid, p, steps);
    std::vector<int> seen(static_cast<std::size_t>(steps));
    for (std::size_t r = 0; r < static_cast<std::size_t>(n); ++r) {
        auto const i = static_cast<std::size_t>(below(key.at(draw::time), static_cast<std::uint64_t>(steps), static_cast<index_t>(r)));
        ++seen[i];
        network_input const ask = student.input_at(times[i]);
        double const alpha = i == 0 ? 0 : p.alpha(times[i]), sigma = i == 0 ? prior_scale_of(p) : p.sigma(times[i]);
        CHECK(b.t[r] == doctest::Approx(ask.time).epsilon(1e-14));
        for (std::size_t c = 2 * r; c < 2 * r + 2; ++c)
            CHECK(b.x[c] == doctest::Approx(ask.scale * (alpha * clean[c] + sigma * z[c])).epsilon(1e-13));
        marginal const at = marginal_at(p, times[i]);
        auto const [u, v] = student.target().weights(at);
        double const determinant = at.alpha * v - at.sigma * u;
        CHECK(b.rows[r].a * ask.scale == doctest::Approx(v / determinant).epsilon(1e-12));
        CHECK(b.rows[r].b == doctest::Approx(-at.sigma / determinant).epsilon(1e-12));
        CHECK(b.rows[r].weight == 1);
    }
    for (int count : seen) CHECK(std::abs(count - n / steps) < 5 * std::sqrt(n / steps) + 1);
}

}  // namespace

TEST_CASE("k_step_distillation: each of the points of the grid, at the first of them noise alone, on any process") {
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    check_build(flow, 4, uniform_grid{});
    check_build(flow, 1, uniform_grid{});
    model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    check_build(karras, 5, karras_grid{});
    model ddpm{net, variance_preserving{}, v_prediction{}};
    check_build(ddpm, 2, uniform_grid{});
    model table{net, discrete{}, v_prediction{}};
    check_build(table, 7, trailing_grid{});
}

TEST_CASE("k_step_distillation: with one step it is one_step_distillation") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4), noise = normal<double>(device(), {20, 2}, 5);
    auto net = lively_mlp<double>(small);
    model karras{net, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    batch<double, backend_type> const data{x0.view(), noise.view()};
    built_problem const a = build(k_step_distillation{{.steps = 1}}, karras, data, {1, 2}),
                        b = build(one_step_distillation{}, karras, data, {1, 2});
    CHECK(a.x == b.x);
    CHECK(a.t == b.t);
    CHECK(a.target == b.target);
    CHECK(accumulate(k_step_distillation{{.steps = 1}}, karras, data, {1, 2}).weighted ==
          accumulate(one_step_distillation{}, karras, data, {1, 2}).weighted);
}

TEST_CASE("k_step_distillation: a student without error is sampled exactly by as many steps of Euler") {
    // On straight paths, x_t = (1 - t) x0 + t z, whoever knows x0 walks along them. The network of one pair knows.
    struct knows_the_sample {
        std::vector<double> clean;
        void operator()(view<double const, backend_type> x, view<double const, backend_type>, view<double, backend_type> y) const {
            x.backend().upload(clean.data(), x.size(), y.data());
        }
    };
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4), noise = normal<double>(device(), {20, 2}, 5);
    model exact{knows_the_sample{x0.to_host()}, rectified_flow{}, onestep::x0{}};
    for (int steps : {1, 2, 5}) {
        built_problem const b = build(k_step_distillation{{.steps = steps}}, exact, {x0.view(), noise.view()}, {1, 2});
        for (auto const& row : b.rows) CHECK((row.a == 0 && row.b == 1));
        CHECK(relative_difference(sample(exact, euler{.steps = steps}, noise).to_host(), b.target) < 1e-14);
    }
}

TEST_CASE("k_step_distillation: the gradient of its loss is that of difference quotients") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4), noise = normal<double>(device(), {6, 2}, 5);
    tensor<std::int32_t, backend_type> const labels(device(), {6}, {0, 1, 2, 2, 1, 0});
    auto net = lively_mlp<double>(small);
    batch<double, backend_type> const data{x0.view(), noise.view(), labels.view()};
    model flow{net, rectified_flow{}, velocity{}};
    check_loss_gradient(k_step_distillation{{.steps = 3}, pseudo_huber{.c = 0.5}}, flow, data, {1, 2});
    CHECK(build(k_step_distillation{}, flow, data, {}).labels == labels.to_host());
}

TEST_CASE("k_step_distillation: a row's problem does not depend on the batch around it, and a warm call allocates nothing") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {150, 2}, 4), noise = normal<double>(device(), {150, 2}, 5);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    batch<double, backend_type> const data{x0.view(), noise.view()};
    k_step_distillation const objective{{.steps = 8}};
    built_problem const whole = build(objective, flow, data, {3, 12});
    for (index_t r : {0, 77, 149}) {
        built_problem const one = build(objective, flow, {x0.view().rows(r, 1), noise.view().rows(r, 1)}, random_key{3, 12}.from_row(r));
        CHECK(one.t[0] == whole.t[static_cast<std::size_t>(r)]);
        CHECK(one.x[1] == whole.x[2 * static_cast<std::size_t>(r) + 1]);
    }
    if (!counts_allocations) return;
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, data, {1, k});
    std::size_t const before = allocations();
    accumulate(objective, flow, data, {1, 9});
    CHECK(allocations() == before);
}

TEST_CASE("k_step_distillation: refuses what it cannot learn from") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), few = normal<double>(device(), {3, 2}, 5);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS(
        build(k_step_distillation{}, flow, {x0.view()}, {}),
        "shape_error: k_step_distillation: the batch has no noise, it learns from pairs of noise and sample, such as reflow_pairs makes",
        shape_error);
    CHECK_THROWS_WITH_AS(build(k_step_distillation{}, flow, {x0.view(), few.view()}, {}),
                         "shape_error: k_step_distillation: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS((k_step_distillation{{.steps = 0}}), "domain_error: k_step_distillation: steps is 0, at least 1 is needed",
                         domain_error);
    CHECK(to_string(k_step_distillation{{.steps = 2}, pseudo_huber{.c = 0.1}}) ==
          "k_step_distillation{steps = 2, distance = pseudo_huber{c = 0.1}, grid = uniform_grid{}}");
}

}  // namespace k_step_distillation_tests
