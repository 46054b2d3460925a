#pragma once
/// Editing: samples that start from a picture instead of from noise.
#include <algorithm>
#include <iterator>

#include "sample.hpp"

namespace onestep {

/// Clean samples brought to the noise level of t in one pass: alpha(t) x0 + sigma(t) z, with sample key.first_sample + r's noise in row r.
template <process Process, class T, class Backend>
tensor<std::remove_const_t<T>, Backend> noised(Process const& process, view<T, Backend> x0, double t, random_key key) {
    tensor<std::remove_const_t<T>, Backend> x(x0.backend(), x0.shape());
    affine_step mix(x.view());
    mix.add(process.alpha(t), x0);
    mix.run(process.sigma(t), key.at(draw::noise));
    return x;
}
template <process Process, class T, class Backend>
tensor<T, Backend> noised(Process const& process, tensor<T, Backend> const& x0, double t, random_key key) {
    return noised(process, x0.view(), t, key);
}

/// The part of a grid that an edit of a strength in (0, 1] runs: the last floor(steps strength) steps. At 1 all of them.
/// Throws domain_error for another strength and for one that leaves no step, and what `require_monotone` throws.
/// Source: Meng et al. 2021 (arXiv:2108.01073); rounding as in diffusers.
inline std::vector<double> times_from(std::vector<double> times, double strength) {
    require_monotone(times);
    if (!(strength > 0 && strength <= 1))
        raise<domain_error>("times_from", "the strength is " + to_string(strength), "it must be in (0, 1]");
    auto const steps = static_cast<int>(times.size()) - 1, left = static_cast<int>(steps * strength);
    if (left == 0)
        raise<domain_error>("times_from", "a strength of " + to_string(strength) + " leaves none of " + std::to_string(steps) + " steps",
                            "take more steps or a strength of at least " + to_string(1.0 / steps));
    times.erase(times.begin(), times.end() - (left + 1));
    return times;
}

/// Numbers of `edit`.
struct edit_options {
    static constexpr char const* name = "edit";
    double strength = 0.75;  ///< in (0, 1]: the share of the solver's steps that run. Near 0 the picture stays, at 1 little of it does
    void fields(auto&& visit) const { visit("strength", strength); }
    friend bool operator==(edit_options const&, edit_options const&) = default;
};

/// Image to image (SDEdit): pictures x0 [n, ...] are brought to the noise level where the last floor(steps strength) steps of the grid
/// begin, and these steps run. Coarse features of x0 stay, finer ones become what the model knows.
///
///     auto x = onestep::edit(flow, onestep::heun{.steps = 20}, sketch, {.strength = 0.6});
///
/// Row r depends on row r of x0 and on sample key.first_sample + r alone. Throws what `times_of`, `times_from` and `solve` throw.
/// Source: Meng et al. 2021 (arXiv:2108.01073), algorithm 1.
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<std::remove_const_t<T>, Backend> edit(Model const& model, Solver const& solver, view<T, Backend> x0, edit_options const& options,
                                             Grid const& grid = {}, random_key key = {}) {
    static_assert(denoiser<Model>, "A solver asks for a denoiser: model{net, process, target}.");
    static_assert(
        requires { solver.steps + 1; }, "This is not a solver: see sampler/concept.hpp.");
    static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(model.process())>>,
                  "This grid has no times for the model's process: see time/grid.hpp.");
    std::vector<double> const times = times_from(times_of(grid, model.process(), solver.steps), options.strength);
    auto x = noised(model.process(), x0, times.front(), key);
    solve(model, solver, times, x.view(), key);
    return x;
}
template <class Model, class Solver, class T, class Backend, class Grid = uniform_grid>
tensor<T, Backend> edit(Model const& model, Solver const& solver, tensor<T, Backend> const& x0, edit_options const& options,
                        Grid const& grid = {}, random_key key = {}) {
    return edit(model, solver, x0.view(), options, grid, key);
}

}  // namespace onestep
