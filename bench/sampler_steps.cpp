// What a solver costs beside the network, which does nothing here.
//   step/SOLVER/...          one step on images. bytes_per_second counts the traffic that the step cannot avoid (each tensor it needs read
//                            once, each result written once; noise is made in registers), so that copy/... is what it can reach at best.
//   coefficients/SOLVER      a run of 1,000 steps on a single number: the arithmetic on the host, at most 1 ms beyond what
//                            coefficients/no_solver takes, which is the run itself: passes over one number, and OpenMP's share in them.
#include <string>

#include <benchmark/benchmark.h>
#include <onestep/onestep.hpp>

#include "standing_output.hpp"

namespace os = onestep;

namespace {

using image_tensor = os::tensor<float, os::cpu>;

/// Nothing to compute: the cost of a run itself, one network call and one pass a step.
struct no_solver {
    static constexpr char const* name = "no_solver";
    static constexpr int order = 0;
    int steps = 1;
    void step(auto& run, double t, double) const { run.advance(run.predict(run.x(), t), 1, 0); }
    void fields(auto&& visit) const { visit("steps", steps); }
};

/// What a benchmark of a solver needs to know of it.
template <class Process, class Target, class Grid, class Solver> struct solver_case {
    std::string name;
    Process process;
    Target target;
    Grid grid;
    Solver solver;
    int tensors;  ///< of x's size that a step reads and writes at least
};

template <class Case> void step(benchmark::State& state, Case const& tried, os::index_t side, int threads) {
    os::cpu device(threads);
    auto const z = os::normal<float>(device, {64, side, side, 3}, 1);
    standing_output<float> net(device, z.shape());
    os::model const model{net, tried.process, tried.target};
    image_tensor x(device, z.shape());
    constexpr int steps = 50;
    os::sampling run(model, tried.solver, os::times_of(tried.grid, tried.process, steps), x.view());
    auto const restart = [&] {
        device.copy(z.data(), z.size(), x.data());
        run.begin();
        for (int i = 0; i < 4; ++i) run.advance();  // a solver with a memory has filled it
    };
    restart();
    for (auto _ : state) {
        run.advance();
        if (run.step() + 1 == steps) {  // the last step is a special one
            state.PauseTiming();
            restart();
            state.ResumeTiming();
        }
    }
    std::int64_t const bytes = tried.tensors * x.size() * static_cast<std::int64_t>(sizeof(float));
    state.SetBytesProcessed(state.iterations() * bytes);
    state.counters["least_MB"] = static_cast<double>(bytes) * 1e-6;
}

template <class Case> void coefficients(benchmark::State& state, Case const& tried) {
    os::cpu device(1);
    auto x = os::normal<float>(device, {1, 1}, 1);
    standing_output<float> net(device, x.shape());
    os::model const model{net, tried.process, tried.target};
    auto const times = os::times_of(tried.grid, tried.process, 1000);
    for (auto _ : state) {
        x.data()[0] = 1;
        os::solve(model, tried.solver, times, x.view());
        benchmark::ClobberMemory();
    }
}

/// memcpy of one tensor into another: one read and one write.
void copy(benchmark::State& state, os::index_t side, int threads) {
    os::cpu device(threads);
    auto const x = os::normal<float>(device, {64, side, side, 3}, 1);
    auto y = os::normal<float>(device, x.shape(), 2);  // memory that has been used: the first write to a page costs more than a copy
    constexpr os::index_t part = 1 << 14;
    [[maybe_unused]] int const count = device.threads();
    for (auto _ : state) {
#pragma omp parallel for schedule(static) num_threads(count)
        for (os::index_t i = 0; i < x.size() / part; ++i) std::memcpy(y.data() + i * part, x.data() + i * part, part * sizeof(float));
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * x.size() * 8);
}

template <class Process, class Target, class Grid, class Solver>
void add(std::string const& name, Process const& process, Target const& target, Grid const& grid, Solver const& solver, int tensors) {
    solver_case<Process, Target, Grid, Solver> const tried{name, process, target, grid, solver, tensors};
    for (os::index_t side : {32, 256})
        for (int threads : {1, 2}) {
            std::string const size = "/side:" + std::to_string(side) + "/threads:" + std::to_string(threads);
            benchmark::RegisterBenchmark(("step/" + name + size).c_str(), step<decltype(tried)>, tried, side, threads)->UseRealTime();
        }
    benchmark::RegisterBenchmark(("coefficients/" + name).c_str(), coefficients<decltype(tried)>, tried)->Unit(benchmark::kMicrosecond);
}

int const registered = [] {
    for (os::index_t side : {32, 256})
        for (int threads : {1, 2})
            benchmark::RegisterBenchmark(("copy/side:" + std::to_string(side) + "/threads:" + std::to_string(threads)).c_str(), copy, side,
                                         threads)
                ->UseRealTime();
    os::discrete const images{os::scaled_linear_schedule{}};
    os::edm const levels;
    os::epsilon const noise;
    add("no_solver", images, noise, os::trailing_grid{}, no_solver{}, 3);
    add("ddim", images, noise, os::trailing_grid{}, os::ddim{}, 3);
    add("ddim_eta1", images, noise, os::trailing_grid{}, os::ddim{.eta = 1}, 3);
    add("ancestral", images, noise, os::trailing_grid{}, os::ancestral{}, 3);
    add("dpm_solver_2m", images, noise, os::trailing_grid{}, os::dpm_solver_2m{}, 5);
    add("dpm_solver_3m", images, noise, os::trailing_grid{}, os::dpm_solver_3m{}, 6);
    add("dpm_solver_sde", images, noise, os::trailing_grid{}, os::dpm_solver_sde{}, 5);
    add("unipc", images, noise, os::trailing_grid{}, os::unipc{}, 8);
    add("exponential_adams", images, noise, os::trailing_grid{}, os::exponential_adams{}, 6);
    add("euler_ancestral", levels, noise, os::karras_grid{}, os::euler_ancestral{}, 3);
    add("euler", levels, noise, os::karras_grid{}, os::euler{}, 3);
    add("heun", levels, noise, os::karras_grid{}, os::heun{}, 7);
    add("flow_match_euler", os::rectified_flow{}, os::velocity{}, os::uniform_grid{}, os::euler{}, 3);
    return 0;
}();

}  // namespace
