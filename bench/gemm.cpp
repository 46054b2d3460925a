// Products of MLP training: ours and Eigen's, at every number of threads up to the cores'. The counter is FLOP/s.
// At one thread compare CPU times. Run with --benchmark_enable_random_interleaving=true --benchmark_repetitions=9.
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/host_gemm.hpp>

namespace {

using namespace onestep;

struct case_of_training {
    char const* name;
    op opa, opb;
    index_t m, n, k;
};

enum class peer { onestep, eigen };

void multiply(benchmark::State& state, case_of_training const& shape, peer who, int threads) {
    auto const fill = [](index_t n) {
        std::vector<float> values(static_cast<std::size_t>(n));
        for (index_t i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = static_cast<float>((i * 37) % 101) / 101 - 0.5f;
        return values;
    };
    std::vector<float> const a = fill(shape.m * shape.k), b = fill(shape.k * shape.n);
    std::vector<float> c(static_cast<std::size_t>(shape.m * shape.n));
    index_t const lda = shape.opa == op::plain ? shape.k : shape.m, ldb = shape.opb == op::plain ? shape.n : shape.k;
    cpu const device(threads);
    for (auto _ : state) {
        if (who == peer::onestep) {
            device.gemm(shape.opa, shape.opb, shape.m, shape.n, shape.k, 1.0f, a.data(), lda, b.data(), ldb, 0.0f, c.data(), shape.n);
        } else {
            host::gemm_tiles<float> const tiles{shape.opa, shape.opb, shape.m, shape.n, shape.k,  1.0f,   a.data(),
                                                lda,       b.data(),  ldb,     0.0f,    c.data(), shape.n};
            if (tiles.count() == 1) tiles(0);
            else device.for_each_index(tiles.count(), tiles);
        }
        benchmark::DoNotOptimize(c.data());
        benchmark::ClobberMemory();
    }
    state.counters["FLOP/s"] =
        benchmark::Counter(2.0 * static_cast<double>(shape.m * shape.n * shape.k), benchmark::Counter::kIsIterationInvariantRate);
}

int const registered = [] {
    std::vector<case_of_training> shapes;
    for (index_t batch : {256, 1024})
        for (index_t width : {64, 128, 256, 512}) {
            shapes.push_back({"forward", op::plain, op::transposed, batch, width, width});
            shapes.push_back({"input_gradient", op::plain, op::plain, batch, width, width});
            shapes.push_back({"weight_gradient", op::transposed, op::plain, width, width, batch});
        }
    for (index_t width : {64, 256}) {
        shapes.push_back({"first_layer", op::plain, op::transposed, 1024, width, 2});
        shapes.push_back({"first_weight_gradient", op::transposed, op::plain, width, 2, 1024});
        shapes.push_back({"last_layer", op::plain, op::transposed, 1024, 2, width});
        shapes.push_back({"last_weight_gradient", op::transposed, op::plain, 2, width, 1024});
        shapes.push_back({"one_sample", op::plain, op::transposed, 1, width, width});
    }
    int const most = cpu().threads();
    for (auto const& shape : shapes)
        for (int threads = 1; threads <= most; threads *= 2)
            for (peer who : {peer::onestep, peer::eigen}) {
                std::string const name = std::string("gemm/") + shape.name + "/" + std::to_string(shape.m) + "x" + std::to_string(shape.n) +
                                         "x" + std::to_string(shape.k) + "/threads:" + std::to_string(threads) +
                                         (who == peer::onestep ? "/onestep" : "/eigen");
                auto* const entry = benchmark::RegisterBenchmark(name.c_str(), multiply, shape, who, threads);
                if (threads > 1) entry->UseRealTime();
            }
    return 0;
}();

}  // namespace
