#include <onestep/objective/live_pairs.hpp>

#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/train/adam.hpp>
#include <onestep/train/trainer.hpp>

#include "../counting_allocator.hpp"
#include "built.hpp"
#include "frozen.hpp"

namespace live_pairs_tests {

using namespace onestep;
using namespace onestep::test;
using namespace onestep::test::built;

namespace {

mlp_options const small{.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 3}, .classes = 3};

}  // namespace

TEST_CASE("live_pairs: the model that targets come from makes the pairs") {
    random_key const key{5, 7};
    tensor<double, backend_type> const x0 = normal<double>(device(), {20, 2}, 4), noise = normal<double>(device(), {20, 2}, 5);
    tensor<std::int32_t, backend_type> const labels(device(), {20}, std::vector<std::int32_t>(20, 2));
    auto net = lively_mlp<double>(small), average = net;
    fill_normal(average.parameters().reshaped({1, average.parameters().size()}), random_key{9}.at(draw::user), 0.3);
    model flow{net, rectified_flow{}, velocity{}}, older{average, rectified_flow{}, velocity{}};
    live_pairs const objective{heun{.steps = 3}, one_step_distillation{}};
    CHECK(build_with(objective, flow, older, {x0.view(), noise.view()}, key).target == sample(older, heun{.steps = 3}, noise).to_host());
    CHECK(build_with(objective, flow, older, {x0.view(), noise.view(), labels.view()}, key).target ==
          sample(older.given(labels), heun{.steps = 3}, noise).to_host());
    tensor<double, backend_type> const drawn(device(), {20, 2}, drawn_noise({20, 2}, key));
    CHECK(build(objective, flow, {x0.view()}, key).target == sample(flow, heun{.steps = 3}, drawn).to_host());
    check_frozen_gradient(live_pairs{euler{.steps = 3}, flow_matching{}}, flow, older, {x0.view(), noise.view()}, key);
    check_frozen_gradient(live_pairs{euler{.steps = 3}, flow_matching{}}, flow, flow, {x0.view(), noise.view()}, key);
}

TEST_CASE("live_pairs: the trainer keeps the average, and a warm call allocates nothing") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {50, 2}, 4);
    auto net = lively_mlp<double>(small), copy = net;
    model flow{net, rectified_flow{}, velocity{}};
    trainer run{flow, live_pairs{euler{.steps = 2}, flow_matching{}, {.decay = 0.75}}, adam{.rate = 1e-2}, {.batch = 10}};
    auto expected = to_host(copy.parameters());
    run.on_step([&](training_report const&) {
        auto const now = to_host(net.parameters());
        for (std::size_t i = 0; i < now.size(); ++i) expected[i] += 0.25 * (now[i] - expected[i]);
    });
    run.run(x0, 4);
    CHECK(relative_difference(to_host(run.target().model().network().parameters()), expected) < 1e-14);
    if (!counts_allocations) return;
    live_pairs const objective{euler{.steps = 4}, flow_matching{}};
    for (std::uint64_t k = 0; k < 3; ++k) accumulate(objective, flow, x0.view(), {1, k});
    std::size_t const before = allocations();
    accumulate(objective, flow, x0.view(), {1, 9});
    CHECK(allocations() == before);
}

TEST_CASE("live_pairs: refuses what does not fit") {
    tensor<double, backend_type> const x0 = normal<double>(device(), {4, 2}, 4), few = normal<double>(device(), {3, 2}, 5);
    auto net = lively_mlp<double>(small);
    model flow{net, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS((live_pairs{euler{}, flow_matching{}, {.decay = 1}}), "domain_error: live_pairs: decay is 1, it must be in [0, 1)",
                         domain_error);
    CHECK_THROWS_AS(build(live_pairs{euler{.steps = 0}, flow_matching{}}, flow, {x0.view()}, {}), domain_error);
    CHECK_THROWS_WITH_AS(build(live_pairs{euler{}, flow_matching{}}, flow, {x0.view(), few.view()}, {}),
                         "shape_error: live_pairs: noise is [3, 2], it must be [4, 2]", shape_error);
    CHECK(to_string(live_pairs{euler{.steps = 8}, one_step_distillation{}}) ==
          "live_pairs{solver = euler{steps = 8}, objective = one_step_distillation{distance = squared{}}, decay = 0.999, grid = "
          "uniform_grid{}}");
}

}  // namespace live_pairs_tests
