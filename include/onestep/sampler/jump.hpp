#pragma once
#include "../model/consistency_model.hpp"
#include "../model/flow_map_model.hpp"
#include "../network/call.hpp"
#include "sample.hpp"

namespace onestep {

/// Samples from a flow map: one evaluation an interval of the grid, one in all for steps = 1.
///
///     consistency_model    x0 = f(x, t_i),    x = alpha x0 + sigma z at t_{i+1}: all noise is drawn anew     Song et al. 2023, algorithm 1
///     flow_map_model       x = X(x, t_i, t_{i+1})                                                           deterministic
///
/// With noise = gamma in (0, 1] a flow_map_model jumps further, to the time of sqrt(1 - gamma^2) times t_{i+1}'s noise level, and adds
/// noise back to t_{i+1}: gamma = 1 jumps to the data each time, as consistency models do (gamma sampling, Kim et al. 2023,
/// arXiv:2310.02279, algorithm 3). The last interval draws no noise.
///
///     auto one = onestep::sample(fast, onestep::jump{}, z);
///     auto two = onestep::sample(fast, onestep::jump{.steps = 2}, z, onestep::explicit_grid{{80, 0.821, 0}});
///
/// Cost: `steps` evaluations, 1 tensor of x's shape (2 where the model scales its input).
struct jump {
    static constexpr char const* name = "jump";
    int steps = 1;     ///< intervals of the grid, >= 1
    double noise = 0;  ///< gamma in [0, 1]; consistency models always take 1

    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("noise", noise);
    }
    friend bool operator==(jump const&, jump const&) = default;
};

/// Jumps along given falling times, in place: x enters as a sample at times.front() and leaves as one at times.back(). Row r draws the
/// noise of sample key.first_sample + r. Returns the number of evaluations (each of all rows). A warm call allocates nothing.
/// Throws domain_error for fewer than two times, times that do not fall and noise outside [0, 1], and what the network throws.
template <flow_map Model, class T, class Backend>
index_t solve(Model const& model, jump const& how, std::vector<double> const& times, view<T, Backend> x, random_key key = {}) {
    require_two_times<Model, T, Backend>();
    require_monotone(times);
    if (times[1] > times[0])
        raise<domain_error>(jump::name, "the times rise from " + to_string(times[0]) + " to " + to_string(times[1]),
                            "a flow map carries x towards the data");
    if (!(how.noise >= 0 && how.noise <= 1)) raise<domain_error>(jump::name, "noise is " + to_string(how.noise), "it must lie in [0, 1]");
    if (x.size() == 0) return 0;
    Backend& device = x.backend();
    auto const memory = device.scratch();
    index_t const n = x.rows();
    view<T, Backend> const f(device, memory->template take<T>(x.size()), x.shape());
    view<T, Backend> const t(device, memory->template take<T>(n), {n}), s(device, memory->template take<T>(n), {n});
    T* scaled = nullptr;
    auto const& process = model.process();
    index_t const steps = static_cast<index_t>(times.size()) - 1;
    for (index_t i = 0; i < steps; ++i) {
        double const from = times[static_cast<std::size_t>(i)], to = times[static_cast<std::size_t>(i) + 1];
        network_input const ask = model.input_at(from);
        view<T const, Backend> read = x;
        if (ask.scale != 1) {
            if (scaled == nullptr) scaled = memory->template take<T>(x.size());
            view<T, Backend> const copy(device, scaled, x.shape());
            affine_step<T, Backend> scale(copy);
            scale.add(ask.scale, x);
            scale.run();
            read = copy;
        }
        fill(t, static_cast<T>(ask.time));
        network_call<T, Backend> call{read, t};
        conversion map;
        double signal = 1, noise = 0;  // x at `to` = signal X + noise z
        if constexpr (consistency_map<Model>) {
            map = model.map_at(from);
            // What f estimates still carries the noise of the boundary.
            double const level = noise_to_signal(process, to), kept = model.boundary_level();
            signal = process.alpha(to);
            noise = level <= kept ? 0 : signal * std::sqrt((level - kept) * (level + kept));
        } else {
            double aim = to;
            if (i + 1 < steps && how.noise > 0) {
                aim = how.noise == 1
                          ? process.t_min()
                          : time_of_noise_to_signal(process, std::sqrt(1 - how.noise * how.noise) * noise_to_signal(process, to));
                aim = std::fmax(aim, process.t_min());
                signal = process.alpha(to) / process.alpha(aim);
                double const rest = signal * process.sigma(aim);
                noise = std::sqrt((process.sigma(to) - rest) * (process.sigma(to) + rest));
            }
            map = model.map_at(from, aim);
            fill(s, static_cast<T>(model.input_at(aim).time));
            call.s = s;
        }
        if (map.output != 0) evaluate<asks_two_times<Model>()>(model.network(), call, f);
        affine_step<T, Backend> next(x);
        next.add(signal * map.x, x);
        if (map.output != 0) next.add(signal * map.output, f);
        next.run(noise, key.at_step(static_cast<std::uint64_t>(i)).at(draw::solver));
    }
    return steps;
}

/// Samples from unit noise z [n, ...]; x starts as `sample` (sample.hpp) starts it. Throws domain_error if steps < 1.
template <flow_map Model, class T, class Backend, class Grid = uniform_grid>
tensor<std::remove_const_t<T>, Backend> sample(Model const& model, jump const& how, view<T, Backend> z, Grid const& grid = {},
                                               random_key key = {}) {
    using value = std::remove_const_t<T>;
    static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(model.process())>>,
                  "This grid has no times for the model's process: see time/grid.hpp.");
    std::vector<double> const times = times_of(grid, model.process(), how.steps);
    tensor<value, Backend> x(z.backend(), z.shape());
    place_noise(model.process(), times.front(), view<value const, Backend>(z), x.view());
    solve(model, how, times, x.view(), key);
    return x;
}
template <flow_map Model, class T, class Backend, class Grid = uniform_grid>
tensor<T, Backend> sample(Model const& model, jump const& how, tensor<T, Backend> const& z, Grid const& grid = {}, random_key key = {}) {
    return sample(model, how, z.view(), grid, key);
}

/// A flow map is asked by `jump`; a denoiser by a solver.
template <denoiser Model, class T, class Backend>
index_t solve(Model const&, jump const&, std::vector<double> const&, view<T, Backend>, random_key = {}) {
    static_assert(flow_map<Model>, "`jump` asks for a flow map, consistency_model or flow_map_model; a denoiser is asked by a solver.");
    return 0;
}

}  // namespace onestep
