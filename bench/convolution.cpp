// Convolutions of the reference U-Nets. "share" is the direct sum's arithmetic over time, as a share of what one core's multiply-adds
// reach: Winograd's way may pass 1.
#include <benchmark/benchmark.h>
#include <onestep/backend/convolution.hpp>
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>

using namespace onestep;

namespace {

enum what { forward, input_gradient, weight_gradient };

void run(benchmark::State& state, what kind, accuracy how) {
    index_t const n = state.range(0), side = state.range(1), in = state.range(2), out = state.range(3);
    cpu device(static_cast<int>(state.range(4)));
    convolution_shape const at{side, side, in, out};
    convolution_on<float, cpu> const layer(at, how);
    auto const x = normal<float>(device, {n, side, side, in}, 1), dy = normal<float>(device, {n, side, side, out}, 2),
               w = normal<float>(device, {9, in, out}, 3);
    tensor<float, cpu> y(device, {n, side, side, out}), dx(device, {n, side, side, in}), dw(device, {9, in, out}),
        prepared(device, {layer.prepared_size() + 1});
    layer.prepare(device, w.data(), prepared.data());
    for (auto _ : state) {
        if (kind == forward) layer.forward(device, n, x.data(), w.data(), prepared.data(), {}, y.data());
        if (kind == input_gradient) layer.input_gradient(device, n, dy.data(), w.data(), nullptr, dx.data());
        if (kind == weight_gradient) layer.weight_gradient(device, n, x.data(), dy.data(), dw.data());
        benchmark::ClobberMemory();
    }
    double const flops = 2.0 * 9 * static_cast<double>(n * side * side * in * out);
    state.counters["GFLOP/s"] = benchmark::Counter(flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

void shapes(benchmark::internal::Benchmark* b) {
    b->ArgNames({"n", "side", "in", "out", "threads"});
    for (int threads : {1, 2})
        for (auto const& s : {std::array<long, 4>{64, 28, 64, 64},
                              {64, 28, 128, 64},
                              {64, 14, 128, 128},
                              {64, 14, 256, 128},
                              {64, 7, 128, 128},
                              {64, 7, 256, 128},
                              {16, 32, 128, 128},
                              {16, 16, 256, 256},
                              {1, 28, 64, 64},
                              {1, 14, 128, 128},
                              {1, 7, 128, 128}})
            b->Args({s[0], s[1], s[2], s[3], threads});
    b->UseRealTime()->Unit(benchmark::kMicrosecond)->MinTime(0.05);
}
BENCHMARK_CAPTURE(run, fast_forward, forward, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, fast_input_gradient, input_gradient, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, fast_weight_gradient, weight_gradient, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, balanced_forward, forward, accuracy::balanced)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_forward, forward, accuracy::exact)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_input_gradient, input_gradient, accuracy::exact)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_weight_gradient, weight_gradient, accuracy::exact)->Apply(shapes);

}  // namespace
