// A whole training step of the reference network on points in the plane: batch, noise, times, forward, backward, Adam, average.
#include <benchmark/benchmark.h>

#include <onestep/onestep.hpp>

namespace os = onestep;

namespace {

void training_step(benchmark::State& state) {
    os::cpu device(static_cast<int>(state.range(2)));
    os::index_t const batch = state.range(1);
    auto const data = os::normal<float>(device, {65'536, 2}, 1);
    os::mlp net(device, {.data = {2}, .width = static_cast<int>(state.range(0)), .blocks = 2, .time = {.size = 128}});
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    os::flow_matching const objective;
    os::optimizer adam{os::adam{}, net};
    os::average ema{0.999, flow};
    os::batch_source<float, os::cpu> source({data.view()}, batch, 1);
    os::index_t step = 0;
    for (auto _ : state) {
        os::accumulate(objective, flow, source.at(step), os::random_key{1, static_cast<std::uint64_t>(step)});
        adam.step(1, ema);
        ++step;
    }
    state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(training_step)
    ->ArgNames({"width", "batch", "threads"})
    ->ArgsProduct({{64, 128, 256}, {128, 256, 1024}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
