#pragma once
/// A small run that every process of a test takes part in.
#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/objective/flow_matching.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/train/checkpoint.hpp>

namespace onestep::test {

template <class Group> struct small_run {
    using flow_type = model<mlp<float, cpu>&, rectified_flow, velocity>;

    cpu device{1};
    tensor<float, cpu> x0 = normal<float>(device, {50, 2}, 1);
    mlp<float, cpu> net;
    flow_type flow{net, rectified_flow{}, velocity{}};
    trainer<flow_type, flow_matching<>, adam, cosine_rate, Group> run;

    /// Batches of 12. Each seed makes other weights, of which those of the first process count.
    explicit small_run(Group& group, std::uint64_t seed = 0)
        : net(device, {.data = {2}, .width = 16, .blocks = 1, .time = {.size = 8}, .seed = seed}),
          run(flow, flow_matching{}, adam{.rate = 1e-2}, {.batch = 12, .ema = 0.9, .clip = 0.5, .seed = 7}, cosine_rate{.steps = 10},
              group) {}

    /// Parameters, moments, average.
    std::vector<float> state() {
        auto all = to_host(net.parameters());
        for (auto const& part : {to_host(run.optimizer().first_moment()), to_host(run.optimizer().second_moment()),
                                 to_host(run.averaged().network().parameters())})
            all.insert(all.end(), part.begin(), part.end());
        return all;
    }
};

}  // namespace onestep::test
