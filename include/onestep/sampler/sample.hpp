#pragma once
/// From noise to samples.
#include "../time/uniform_grid.hpp"
#include "concept.hpp"

namespace onestep {

/// Solves the probability-flow ODE of a model along given times, in place: x enters as a sample at times.front() and
/// leaves as one at times.back(). Works in both directions. Returns the number of network evaluations (each of all rows).
/// Scratch comes from the backend's pool: a warm call allocates nothing. A model may be used from many threads at once.
/// Throws domain_error for fewer than two times or times that are not strictly monotone, and what the network throws.
template <class Model, class Solver, class T, class Backend>
index_t solve(Model const& model, Solver const& solver, std::vector<double> const& times, view<T, Backend> x) {
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(network<std::remove_reference_t<decltype(model.network())>, T, Backend>,
                  "A network is called as net(x, t, y): it reads x [n, ...] and t [n] and writes y, shaped like x.");
    static_assert(onestep::solver<Solver, flow<Model, T, Backend>>, "This is not a solver: see sampler/concept.hpp.");
    require_monotone(times);
    if (x.size() == 0) return 0;
    auto const memory = x.backend().scratch();
    flow<Model, T, Backend> run(model, x, *memory);
    for (std::size_t i = 0; i + 1 < times.size(); ++i) {
        run.begin_step();
        solver.step(run, times[i], times[i + 1]);
    }
    return run.evaluations();
}

/// Samples from unit noise z [n, ...]: x starts as sigma(t_max) z and ends at t_min. Row r of the result depends on row r
/// of z alone.
///
///     auto x = onestep::sample(model, onestep::heun{.steps = 8}, z);
///
/// Throws domain_error if steps < 1, and what the network throws.
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<std::remove_const_t<T>, Backend> sample(Model const& model, Solver const& solver, view<T, Backend> z, Grid const& grid = {}) {
    using value = std::remove_const_t<T>;
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(requires { solver.steps + 1; }, "This is not a solver: see sampler/concept.hpp.");
    static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(model.process())>>, "This grid has no times for the model's process: see time/grid.hpp.");
    std::vector<double> const times = times_of(grid, model.process(), solver.steps);
    tensor<value, Backend> x(z.backend(), z.shape());
    affine_step<value, Backend> start(x.view());
    start.add(model.process().sigma(times.front()), z);
    start.run();
    solve(model, solver, times, x.view());
    return x;
}
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<T, Backend> sample(Model const& model, Solver const& solver, tensor<T, Backend> const& z, Grid const& grid = {}) {
    return sample(model, solver, z.view(), grid);
}

}  // namespace onestep
