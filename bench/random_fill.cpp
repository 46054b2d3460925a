// Normal deviates: time for a tensor that is already there, against the standard library's generator.
#include <benchmark/benchmark.h>

#include <onestep/onestep.hpp>
#include <random>

namespace {

void fill_normal(benchmark::State& state) {
    onestep::cpu device(static_cast<int>(state.range(1)));
    onestep::index_t const cols = state.range(0);
    onestep::tensor<float, onestep::cpu> z(device, {(1 << 22) / cols, cols});
    std::uint64_t step = 0;
    for (auto _ : state) onestep::fill_normal(z.view(), onestep::random_key{1, step++}.at(onestep::draw::noise));
    state.SetItemsProcessed(state.iterations() * z.size());
}
BENCHMARK(fill_normal)->ArgNames({"cols", "threads"})->ArgsProduct({{1, 2, 64, 3072, 1 << 22}, {1, 2}})->UseRealTime();

void standard_library(benchmark::State& state) {
    std::vector<float> z(1 << 20);
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (auto _ : state) {
        for (float& v : z) v = normal(generator);
        benchmark::DoNotOptimize(z.data());
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(z.size()));
}
BENCHMARK(standard_library);

}  // namespace
