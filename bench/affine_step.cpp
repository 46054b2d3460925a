// The fused sampler step, with and without noise, beside a plain copy of as many bytes: bytes per second of both.
#include <benchmark/benchmark.h>

#include <cstring>
#include <onestep/onestep.hpp>

namespace {

using tensor = onestep::tensor<float, onestep::cpu>;

onestep::shape images(benchmark::State const& state) { return {64, state.range(0), state.range(0), 3}; }

/// x' = a x + b F in place: reads two tensors, writes one.
void step(benchmark::State& state) {
    onestep::cpu device(static_cast<int>(state.range(1)));
    auto x = onestep::normal<float>(device, images(state), 1), f = onestep::normal<float>(device, images(state), 2);
    for (auto _ : state) {
        onestep::affine_step next(x.view());
        next.add(0.95, x.view()).add(-0.15, f.view()).run();
    }
    state.SetBytesProcessed(state.iterations() * x.size() * 12);
}
void step_with_noise(benchmark::State& state) {
    onestep::cpu device(static_cast<int>(state.range(1)));
    auto x = onestep::normal<float>(device, images(state), 1), f = onestep::normal<float>(device, images(state), 2);
    std::uint64_t k = 0;
    for (auto _ : state) {
        onestep::affine_step next(x.view());
        next.add(0.95, x.view()).add(-0.15, f.view()).run(0.1, onestep::random_key{3, k++}.at(onestep::draw::noise));
    }
    state.SetBytesProcessed(state.iterations() * x.size() * 12);
}
/// The same traffic, two reads and a write, in the simplest possible loop: what the memory gives.
void triad(benchmark::State& state) {
    onestep::cpu device(static_cast<int>(state.range(1)));
    auto x = onestep::normal<float>(device, images(state), 1), f = onestep::normal<float>(device, images(state), 2);
    float *const a = x.data(), *const b = f.data();
    onestep::index_t const n = x.size();
    [[maybe_unused]] int const threads = device.threads();
    for (auto _ : state) {
#pragma omp parallel for simd schedule(static) num_threads(threads)
        for (onestep::index_t i = 0; i < n; ++i) a[i] = a[i] + b[i];
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * n * 12);
}
/// memcpy of one tensor into another: one read and one write.
void copy(benchmark::State& state) {
    onestep::cpu device(static_cast<int>(state.range(1)));
    auto x = onestep::normal<float>(device, images(state), 1), y = onestep::normal<float>(device, images(state), 2);
    [[maybe_unused]] int const threads = device.threads();
    constexpr onestep::index_t part = 1 << 16;
    for (auto _ : state) {
#pragma omp parallel for schedule(static) num_threads(threads)
        for (onestep::index_t i = 0; i < x.size() / part; ++i) std::memcpy(y.data() + i * part, x.data() + i * part, part * sizeof(float));
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * x.size() * 8);
}
BENCHMARK(step)->ArgNames({"side", "threads"})->ArgsProduct({{32, 256}, {1, 2}})->UseRealTime();
BENCHMARK(step_with_noise)->ArgNames({"side", "threads"})->ArgsProduct({{32, 256}, {1, 2}})->UseRealTime();
BENCHMARK(triad)->ArgNames({"side", "threads"})->ArgsProduct({{32, 256}, {1, 2}})->UseRealTime();
BENCHMARK(copy)->ArgNames({"side", "threads"})->ArgsProduct({{32, 256}, {1, 2}})->UseRealTime();

}  // namespace
