// The whole way: train a flow, straighten it, and learn to take it in one step.
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/energy_distance.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/one_step_distillation.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/train/reflow_pairs.hpp>
#include <onestep/train/trainer.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace training_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// A network with its sign turned.
template <class Network> struct flipped {
    Network const& net;
    void operator()(view<float const, cpu> x, view<float const, cpu> t, view<float, cpu> y) const {
        net(x, t, y);
        for (index_t i = 0; i < y.size(); ++i) y.data()[i] = -y.data()[i];
    }
};

}  // namespace

TEST_CASE("end to end: slow: training, reflow and distillation lead to one step") {
    cpu device;
    mixture const truth = three_clusters();
    auto const data = truth.samples<float>(device, 8000, 1), exact = truth.samples<float>(device, 3000, 2);
    auto const z = normal<float>(device, {3000, 2}, 3);
    auto const far = [&](auto const& m, auto const& solver) { return energy_distance(sample(m, solver, z), exact).squared; };

    mlp net(device, {.data = {2}, .width = 64, .blocks = 2, .time = {.size = 32, .scale = 100}});
    model flow{net, rectified_flow{}, velocity{}};
    double const untrained = far(flow, heun{.steps = 20});

    trainer first{
        flow, flow_matching{}, adam{.rate = 3e-3}, {.batch = 256, .ema = 0.99, .seed = 1}, cosine_rate{.steps = 800, .warmup = 50}};
    first.run(data, 800);
    double const trained = far(first.averaged(), heun{.steps = 20}), trained_one_step = far(first.averaged(), euler{.steps = 1});
    flipped<mlp<float, cpu>> const turned{first.averaged().network()};
    double const wrong_way = far(model{turned, rectified_flow{}, velocity{}}, heun{.steps = 20});

    auto const pairs = reflow_pairs(first.averaged(), heun{.steps = 20}, normal<float>(device, {8000, 2}, 4));
    trainer second{first.averaged(),
                   flow_matching{},
                   adam{.rate = 2e-3},
                   {.batch = 256, .ema = 0.99, .seed = 2},
                   cosine_rate{.steps = 500, .warmup = 50}};
    second.run(pairs, 500);
    double const reflowed_one_step = far(second.averaged(), euler{.steps = 1});

    auto const straight = reflow_pairs(second.averaged(), heun{.steps = 10}, normal<float>(device, {8000, 2}, 5));
    trainer last{second.averaged(),
                 one_step_distillation{},
                 adam{.rate = 2e-3},
                 {.batch = 256, .ema = 0.99, .seed = 3},
                 cosine_rate{.steps = 500, .warmup = 50}};
    last.run(straight, 500);
    double const one_step = far(last.averaged(), euler{.steps = 1});

    MESSAGE("untrained " << untrained << ", wrong way " << wrong_way << ", trained " << trained << ", its one step " << trained_one_step
                         << ", one step after reflow " << reflowed_one_step << ", after distillation " << one_step);
    double const bound = 0.005;  // squared energy distance; two sets of true samples are 0.000 +- 0.0005 apart
    CHECK(trained < bound);
    CHECK(untrained > 20 * bound);
    CHECK(wrong_way > 20 * bound);
    CHECK(trained_one_step > 20 * bound);
    CHECK(reflowed_one_step < trained_one_step / 20);
    CHECK(one_step < 2 * bound);
}

}  // namespace training_tests
