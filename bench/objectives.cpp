// What objectives cost beside one evaluation of the network: forward, and accumulate (build, forward and backward, no optimizer) of each,
// on the reference network with 1,024 points. `allocations` are those of a warm call. docs/benchmarks.md has a table of the quotients,
// which bench/run_bench.py measures in turn: on a busy machine times of these rows, minutes apart, are not worth dividing.
#include <benchmark/benchmark.h>

#include "../tests/counting_allocator.hpp"
#include "objective_cases.hpp"

namespace {

using namespace objective_cases;

void forward(benchmark::State& state) {
    os::cpu device(static_cast<int>(state.range(0)));
    forward_run run(device, usual);
    for (auto _ : state) run.run();
    state.SetItemsProcessed(state.iterations() * usual.batch);
}

template <class Case> void accumulate(benchmark::State& state) {
    os::cpu device(static_cast<int>(state.range(0)));
    os::index_t const batch = state.range(1);
    objective_run<Case> run(device, {batch, usual.blocks});
    for (int i = 0; i < 2; ++i) run.accumulate();
    std::size_t const before = os::test::allocations();
    std::size_t calls = 0;
    for (auto _ : state) run.accumulate(), ++calls;
    if (os::test::counts_allocations)
        state.counters["allocations"] = static_cast<double>(os::test::allocations() - before) / static_cast<double>(calls);
    state.SetItemsProcessed(state.iterations() * batch);
}

void settings(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"threads", "batch"})->ArgsProduct({{1, 2}, {usual.batch}})->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(forward)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, flow_matching)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, consistency_training)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, consistency_distillation)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, continuous_consistency_training)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, continuous_consistency_distillation)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, continuous_consistency_by_differences)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, shortcut_training)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, mean_flow)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, mean_flow_every_row)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, progressive_distillation)->Apply(settings);
BENCHMARK_TEMPLATE(accumulate, optimal_transport)->Args({2, 256})->Apply(settings);

}  // namespace
