#include <onestep/objective/online_pairs.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/learned_weight.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/sampler/edm_stochastic.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/time/karras_grid.hpp>

#include "../counting_allocator.hpp"
#include "built.hpp"

namespace online_pairs_tests {

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
bool same(built_problem const& a, built_problem const& b) {
    bool equal = a.x == b.x && a.t == b.t && a.target == b.target && a.labels == b.labels && a.rows.size() == b.rows.size();
    for (std::size_t r = 0; equal && r < a.rows.size(); ++r) equal = a.rows[r].a == b.rows[r].a && a.rows[r].b == b.rows[r].b;
    return equal;
}

/// An objective with everything that a wrapper passes on: its target comes from an older model, which moves by a decay of its own.
struct asks_older {
    static constexpr char const* name = "asks_older";
    static constexpr bool learns_weight = true;
    squared distance() const { return {}; }
    double target_decay(index_t step) const { return 1 - 1 / (2.0 + static_cast<double>(step)); }
    template <class Model, class Older, class T, class Backend>
    regression<T, Backend> build(Model const& model, Older const& older, batch<T, Backend> const& data, random_key key,
                                 arena<Backend>& memory) const {
        auto problem = flow_matching{}.build(model, data, key, memory);
        view<T, Backend> const target(data.x0.backend(), memory.template take<T>(data.x0.size()), data.x0.shape());
        evaluate<false>(older.network(), problem.call, target);
        problem.target = target.data();
        return problem;
    }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("online_pairs: the inner objective builds on what the solver makes of the batch's noise") {
    index_t const n = 60;
    random_key const key{5, 77, 3};
    tensor<double, backend_type> const x0 = normal<double>(device(), {n, 2}, 4), noise = normal<double>(device(), {n, 2}, 5);
    std::vector<std::int32_t> names;
    for (index_t r = 0; r < n; ++r) names.push_back(static_cast<std::int32_t>(r % 3));
    tensor<std::int32_t, backend_type> const labels(device(), {n}, names);
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}};
    model teacher{old, edm{}, edm_preconditioned{.sigma_data = 0.5}};  // of another process than the student
    auto const check = [&](auto const& inner) {
        online_pairs const objective{teacher, heun{.steps = 3}, inner, karras_grid{}};
        auto const made = sample(teacher, heun{.steps = 3}, noise, karras_grid{});
        CHECK(same(build(objective, flow, {x0.view(), noise.view()}, key), build(inner, flow, {made.view(), noise.view()}, key)));
        auto const named = sample(teacher.given(labels), heun{.steps = 3}, noise, karras_grid{});
        CHECK(relative_difference(named.to_host(), made.to_host()) > 0.01);
        CHECK(same(build(objective, flow, {x0.view(), noise.view(), labels.view()}, key),
                   build(inner, flow, {named.view(), noise.view(), labels.view()}, key)));
        tensor<double, backend_type> const drawn(device(), {n, 2}, drawn_noise({n, 2}, key));
        auto const new_pairs = sample(teacher, heun{.steps = 3}, drawn, karras_grid{});
        CHECK(same(build(objective, flow, {x0.view()}, key), build(inner, flow, {new_pairs.view(), drawn.view()}, key)));
    };
    check(flow_matching{});
    check(one_step_distillation{});
}

TEST_CASE("online_pairs: pairs are new at each training step, and solvers that draw noise draw anew") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4), noise = normal<double>(device(), {20, 2}, 5);
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
    model stochastic{old, edm{}, edm_preconditioned{.sigma_data = 0.5}};
    auto const samples = [&](auto const& objective, batch<double, backend_type> const& data, random_key key) {
        return build(objective, flow, data, key).target;  // one_step_distillation regresses the samples themselves
    };
    online_pairs const plain{teacher, euler{.steps = 3}, one_step_distillation{}};
    CHECK(samples(plain, {x0.view()}, {1, 2}) != samples(plain, {x0.view()}, {1, 3}));
    CHECK(samples(plain, {x0.view(), noise.view()}, {1, 2}) == samples(plain, {x0.view(), noise.view()}, {1, 3}));
    online_pairs const noisy{stochastic, edm_stochastic{.steps = 4, .churn = 2}, one_step_distillation{}, karras_grid{}};
    CHECK(samples(noisy, {x0.view(), noise.view()}, {1, 2}) != samples(noisy, {x0.view(), noise.view()}, {1, 3}));
    CHECK(samples(noisy, {x0.view(), noise.view()}, {1, 2}) == samples(noisy, {x0.view(), noise.view()}, {1, 2}));
    // a row's pair depends on its key alone
    auto const whole = samples(noisy, {x0.view()}, {1, 2});
    auto const row = samples(noisy, {x0.view().rows(7, 1)}, random_key{1, 2}.from_row(7));
    CHECK(row[0] == doctest::Approx(whole[14]).epsilon(1e-13));
}

TEST_CASE("online_pairs: the gradient is that of difference quotients with the teacher's weights held constant") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {6, 2}, 4);
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
    batch<double, backend_type> const data{x0.view()};
    check_loss_gradient(online_pairs{teacher, euler{.steps = 5}, flow_matching{}}, flow, data, {1, 2});
    check_loss_gradient(online_pairs{teacher, euler{.steps = 5}, one_step_distillation{pseudo_huber{.c = 0.3}}}, flow, data, {1, 2});
}

TEST_CASE("online_pairs: what the inner objective asks for is passed on") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4), noise = normal<double>(device(), {20, 2}, 5);
    auto net = lively_mlp<double>(small), old = other_mlp(8), average = other_mlp(9);
    model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}}, older{average, rectified_flow{}, velocity{}};
    online_pairs const objective{teacher, euler{.steps = 3}, asks_older{}};
    static_assert(has_target_decay<decltype(objective)> && learns_weight<decltype(objective)>());
    CHECK(objective.target_decay(7) == asks_older{}.target_decay(7));
    auto const made = sample(teacher, euler{.steps = 3}, noise);
    CHECK(same(build_with(objective, flow, older, {x0.view(), noise.view()}, {1, 2}),
               build_with(asks_older{}, flow, older, {made.view(), noise.view()}, {1, 2})));
    online_pairs const plain{teacher, euler{.steps = 3}, flow_matching{}};
    static_assert(!has_target_decay<decltype(plain)> && !learns_weight<decltype(plain)>());
    static_assert(learns_weight<decltype(learned_weighting{plain})>());
}

TEST_CASE("online_pairs: a warm call allocates nothing") {
    if (!counts_allocations) return;
    tensor<double, backend_type> const x0 = normal<double>(device(), {100, 2}, 4);
    tensor<std::int32_t, backend_type> const labels(device(), {100}, std::vector<std::int32_t>(100, 1));
    auto net = lively_mlp<double>(small), old = other_mlp(8);
    model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
    online_pairs const objective{teacher, heun{.steps = 4}, flow_matching{}};
    batch<double, backend_type> const data{x0.view(), {}, labels.view()};
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, data, {1, k});
    std::size_t const before = allocations();
    accumulate(objective, flow, data, {1, 9});
    CHECK(allocations() == before);
}

TEST_CASE("online_pairs: refuses what does not fit") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), few = normal<double>(device(), {3, 2}, 5);
    tensor<std::int32_t, backend_type> const labels(device(), {4}, {0, 1, 2, 0});
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    auto const no_labels = [](view<double const, backend_type> x, view<double const, backend_type>, view<double, backend_type> y) {
        x.backend().copy(x.data(), x.size(), y.data());
    };
    model plain{no_labels, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS((online_pairs{flow, euler{.steps = 0}, flow_matching{}}),
                         "domain_error: uniform_grid: steps is 0, at least 1 is needed", domain_error);
    CHECK_THROWS_WITH_AS(build(online_pairs{flow, euler{}, flow_matching{}}, flow, {x0.view(), few.view()}, {}),
                         "shape_error: online_pairs: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK_THROWS_WITH_AS(build(online_pairs{plain, euler{}, flow_matching{}}, flow, {x0.view(), {}, labels.view()}, {}),
                         "shape_error: online_pairs: the batch has labels, the teacher's network takes none: it has no operator()(x, t, "
                         "labels, y)",
                         shape_error);
    CHECK(to_string(online_pairs{plain, euler{.steps = 20}, one_step_distillation{}}) ==
          "online_pairs{teacher = teacher{process = rectified_flow{}, target = velocity{}}, solver = euler{steps = 20}, objective = "
          "one_step_distillation{distance = squared{}}, grid = uniform_grid{}}");
}

}  // namespace online_pairs_tests
