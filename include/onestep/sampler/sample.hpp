#pragma once
/// From noise to samples.
#include "../time/uniform_grid.hpp"
#include "concept.hpp"

namespace onestep {

/// A run that is advanced step by step: for loops that do other things between steps, or stop early. It owns its memory, which
/// the first steps take; from then on steps allocate nothing. The first call of `advance` after `begin` starts anew.
///
///     sampling run(flow, heun{.steps = 8}, times, x.view());
///     while (run.advance()) show(x);
///
/// Model, solver and times are copied or referred to as in `solve`; the model and x must outlive it.
template <class Model, class Solver, class T, class Backend> class sampling {
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(network<std::remove_reference_t<decltype(std::declval<Model const&>().network())>, T, Backend>,
                  "A network is called as net(x, t, y): it reads x [n, ...] and t [n] and writes y, shaped like x.");
    static_assert(onestep::solver<Solver, trajectory<Model, T, Backend>>, "This is not a solver: see sampler/concept.hpp.");

public:
    /// Throws domain_error for fewer than two times or times that are not strictly monotone.
    sampling(Model const& model, Solver const& solver, std::vector<double> times, view<T, Backend> x, random_key key = {})
        : solver_(solver), times_(checked(std::move(times))), memory_(x.backend()), run_(model, times_, x, memory_, key) {}
    sampling(sampling const&) = delete;
    sampling& operator=(sampling const&) = delete;

    /// One step; whether there are more. Does nothing once all are done. Throws what the network throws.
    bool advance() {
        if (done()) return false;
        run_.begin_step(next_);
        if (run_.x().size() > 0) solver_.step(run_, run_.time(next_), run_.time(next_ + 1));
        ++next_;
        return !done();
    }
    /// Back to the first step: x is a sample at times.front() again.
    void begin() noexcept {
        next_ = 0;
        run_.begin_run();
    }
    bool done() const noexcept { return next_ == run_.steps(); }
    int step() const noexcept { return next_; }                          ///< steps done
    double time() const noexcept { return run_.time(next_); }            ///< where x stands
    index_t evaluations() const noexcept { return run_.evaluations(); }  ///< of all rows, since `begin`

private:
    static std::vector<double> checked(std::vector<double> times) {
        require_monotone(times);
        return times;
    }

    Solver solver_;
    std::vector<double> times_;
    arena<Backend> memory_;
    trajectory<Model, T, Backend> run_;
    int next_ = 0;
};

/// Solves along given times, in place: x enters as a sample at times.front() and leaves as one at times.back(). Solvers of
/// the probability-flow ODE work in both directions: from data to noise they invert. Returns the number of network evaluations (each of
/// all rows). Row r takes the noise of sample key.first_sample + r. Scratch comes from the backend's pool: a warm call allocates
/// nothing. A model may be used from many threads at once. Throws domain_error for fewer than two times or times that are not
/// strictly monotone, and what solver and network throw.
template <class Model, class Solver, class T, class Backend>
index_t solve(Model const& model, Solver const& solver, std::vector<double> const& times, view<T, Backend> x, random_key key = {}) {
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(network<std::remove_reference_t<decltype(model.network())>, T, Backend>,
                  "A network is called as net(x, t, y): it reads x [n, ...] and t [n] and writes y, shaped like x.");
    static_assert(onestep::solver<Solver, trajectory<Model, T, Backend>>, "This is not a solver: see sampler/concept.hpp.");
    require_monotone(times);
    if (x.size() == 0) return 0;
    auto const memory = x.backend().scratch();
    trajectory<Model, T, Backend> run(model, times, x, *memory, key);
    for (int i = 0; i < run.steps(); ++i) {
        run.begin_step(i);
        solver.step(run, run.time(i), run.time(i + 1));
    }
    return run.evaluations();
}

/// x = prior_scale_of(process) z where t is t_max, and sigma(t) z elsewhere: where a run from unit noise z begins. One pass; x may be z.
template <process Process, class T, class Backend>
void place_noise(Process const& process, double t, view<T const, Backend> z, view<T, Backend> x) {
    affine_step<T, Backend> start(x);
    start.add(t == process.t_max() ? prior_scale_of(process) : process.sigma(t), z);
    start.run();
}

/// Samples from unit noise z [n, ...]: x starts as prior_scale_of(process) z and ends at t_min (sigma(t) z where the grid starts
/// at another t than t_max). Row r of the result depends on row r of z and, for stochastic solvers, on sample
/// key.first_sample + r alone.
///
///     auto x = onestep::sample(model, onestep::heun{.steps = 8}, z);
///
/// Throws domain_error if steps < 1, and what the network throws.
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<std::remove_const_t<T>, Backend> sample(Model const& model, Solver const& solver, view<T, Backend> z, Grid const& grid = {},
                                               random_key key = {}) {
    using value = std::remove_const_t<T>;
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(
        requires { solver.steps + 1; }, "This is not a solver: see sampler/concept.hpp.");
    static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(model.process())>>,
                  "This grid has no times for the model's process: see time/grid.hpp.");
    std::vector<double> const times = times_of(grid, model.process(), solver.steps);
    tensor<value, Backend> x(z.backend(), z.shape());
    place_noise(model.process(), times.front(), view<value const, Backend>(z), x.view());
    solve(model, solver, times, x.view(), key);
    return x;
}
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<T, Backend> sample(Model const& model, Solver const& solver, tensor<T, Backend> const& z, Grid const& grid = {},
                          random_key key = {}) {
    return sample(model, solver, z.view(), grid, key);
}

}  // namespace onestep
