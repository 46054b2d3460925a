/// Objectives that make or choose their pairs, on one thread and on two.
#include <onestep/objective/live_pairs.hpp>
#include <onestep/objective/optimal_transport.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/accumulate.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/objective/k_step_distillation.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/sampler/euler.hpp>

#include <doctest/doctest.h>

namespace pairs_threads_tests {

using namespace onestep;

TEST_CASE("online_pairs, live_pairs, optimal_transport: the same bits for any number of threads") {
    std::vector<float> expected;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        mlp<float, cpu> net(device, {.data = {60}, .width = 96, .blocks = 1}), old(device, {.data = {60}, .width = 96, .blocks = 1});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
        fill_normal(old.parameters().reshaped({1, old.parameters().size()}), random_key{4}.at(draw::user), 0.2);
        model flow{net, rectified_flow{}, velocity{}}, teacher{old, rectified_flow{}, velocity{}};
        tensor<float, cpu> const x0 = normal<float>(device, {200, 60}, 4);
        accumulate(optimal_transport{flow_matching{}}, flow, x0.view(), {1, 2});
        accumulate(online_pairs{teacher, euler{.steps = 3}, k_step_distillation{{.steps = 2}}}, flow, x0.view(), {1, 3});
        accumulate(live_pairs{euler{.steps = 3}, optimal_transport{flow_matching{}}}, flow, x0.view(), {1, 4});
        if (threads == 1) expected = to_host(net.gradients());
        CHECK(to_host(net.gradients()) == expected);
    }
}

}  // namespace pairs_threads_tests
