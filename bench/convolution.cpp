// The 3x3 convolutions of the reference U-Nets, in the three accuracies. FLOP/s count the sum as it is written, 18 n side^2 in out, so
// Winograd's way may pass what the processor has; "share" is that over what one thread's multiply-adds reach in registers, measured here.
// "rms_error" and "largest_error" of forward are against the same sum in double, over the root mean square of the result, for normal
// inputs.
//
//     build/bench/bench/convolution --benchmark_min_time=0.2 --benchmark_repetitions=5 --benchmark_enable_random_interleaving=true
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <benchmark/benchmark.h>
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>

using namespace onestep;

namespace {

/// FLOP/s of independent multiply-adds on one thread: the best of several short runs.
double peak() {
    static double const found = [] {
        using vector = host::gemm_register<float>::type;
        constexpr int chains = 10;
        double best = 0;
        for (int attempt = 0; attempt < 30; ++attempt) {
            vector sum[chains], factor = vector{} + 0.999f, term = vector{} + 0.001f;
            for (int c = 0; c < chains; ++c) sum[c] = vector{} + static_cast<float>(c);  // equal chains would be computed once
            auto const begin = std::chrono::steady_clock::now();
            constexpr int steps = 1'000'000;
            for (int i = 0; i < steps; ++i) {
#pragma GCC unroll 10
                for (vector& each : sum) each = each * factor + term;
            }
            double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
            for (vector& each : sum) benchmark::DoNotOptimize(each);
            best = std::max(best, 2.0 * chains * host::gemm_register<float>::size * steps / seconds);
        }
        return best;
    }();
    return found;
}

enum class part { forward, input_gradient, weight_gradient };

template <class T>
std::vector<T> one_image(cpu& device, convolution_shape const& at, accuracy how, std::vector<T> const& x, std::vector<T> const& w) {
    convolution_on<T, cpu> const layer(at, how);
    tensor<T, cpu> const in(device, {1, at.x_size()}, x), weights(device, {1, at.weights()}, w);
    tensor<T, cpu> prepared(device, {layer.prepared_size() + 1}), y(device, {1, at.out_pixels() * at.out});
    layer.prepare(device, weights.data(), prepared.data());
    layer.forward(device, 1, in.data(), weights.data(), prepared.data(), {}, y.data());
    return y.to_host();
}
void count_errors(benchmark::State& state, cpu& device, convolution_shape const& at, accuracy how) {
    auto const x = normal<float>(device, {1, at.x_size()}, 1).to_host(), w = normal<float>(device, {1, at.weights()}, 2).to_host();
    auto const got = one_image<float>(device, at, how, x, w);
    auto const exact = one_image<double>(device, at, accuracy::exact, {x.begin(), x.end()}, {w.begin(), w.end()});
    double error = 0, largest = 0, size = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        double const e = std::fabs(static_cast<double>(got[i]) - exact[i]);
        error += e * e, size += exact[i] * exact[i], largest = std::max(largest, e);
    }
    state.counters["rms_error"] = std::sqrt(error / size);
    state.counters["largest_error"] = largest / std::sqrt(size / static_cast<double>(got.size()));
}

void run(benchmark::State& state, part what, accuracy how) {
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
        if (what == part::forward) layer.forward(device, n, x.data(), w.data(), prepared.data(), {}, y.data());
        if (what == part::input_gradient) layer.input_gradient(device, n, dy.data(), w.data(), nullptr, dx.data());
        if (what == part::weight_gradient) layer.weight_gradient(device, n, x.data(), dy.data(), dw.data());
        benchmark::ClobberMemory();
    }
    double const flops = 18.0 * static_cast<double>(n * side * side * in * out);
    state.counters["FLOP/s"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
    state.counters["share"] =
        benchmark::Counter(flops / peak() / static_cast<double>(state.range(4)), benchmark::Counter::kIsIterationInvariantRate);
    if (what == part::forward) count_errors(state, device, at, how);
}

void shapes(benchmark::internal::Benchmark* b) {
    b->ArgNames({"n", "side", "in", "out", "threads"});
    for (int threads : {1, 2})
        for (auto const& s : {std::array<long, 4>{64, 28, 64, 64},
                              {64, 28, 128, 64},
                              {64, 28, 192, 64},
                              {64, 28, 128, 128},
                              {64, 14, 128, 128},
                              {64, 14, 256, 128},
                              {64, 7, 128, 128},
                              {64, 7, 256, 128},
                              {16, 32, 128, 128},
                              {16, 16, 256, 256},
                              {16, 8, 256, 256},
                              {16, 4, 256, 256},
                              {1, 28, 64, 64},
                              {1, 14, 128, 128},
                              {1, 7, 128, 128}})
            b->Args({s[0], s[1], s[2], s[3], threads});
    b->UseRealTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK_CAPTURE(run, fast_forward, part::forward, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, fast_input_gradient, part::input_gradient, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, fast_weight_gradient, part::weight_gradient, accuracy::fast)->Apply(shapes);
BENCHMARK_CAPTURE(run, balanced_forward, part::forward, accuracy::balanced)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_forward, part::forward, accuracy::exact)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_input_gradient, part::input_gradient, accuracy::exact)->Apply(shapes);
BENCHMARK_CAPTURE(run, exact_weight_gradient, part::weight_gradient, accuracy::exact)->Apply(shapes);

}  // namespace
