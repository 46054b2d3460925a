#pragma once
#include "../time/uniform_grid.hpp"
#include "regression_rows.hpp"

namespace onestep {

namespace distillation_rule {

/// Where a row of a pair is looked at. At the start of sampling x is noise alone.
struct place {
    double t = 0;
    bool start = false;
};

/// Pairs of which row r, at where(r), is to say its sample at once.
template <denoiser Model, class T, class Backend, class Where>
regression<T, Backend> problem(char const* name, Model const& model, batch<T, Backend> const& data, arena<Backend>& memory,
                               Where const& where) {
    if (data.noise.empty())
        raise<shape_error>(name, "the batch has no noise", "it learns from pairs of noise and sample, such as reflow_pairs makes");
    require_shape(name, "noise", data.noise, data.x0.shape());
    Backend& device = data.x0.backend();
    index_t const n = data.x0.rows(), d = data.x0.cols();
    T* const t = memory.template take<T>(n);
    auto* const rows = memory.template take<regression_row<T>>(n);
    T* const x = memory.template take<T>(n * d);
    T* const target = memory.template take<T>(n * d);

    auto const& process = model.process();
    upload_rows(device, n, t, rows, [&](index_t row, double& time) {
        place const at = where(row);
        double const alpha = at.start ? 0 : process.alpha(at.t),
                     sigma = at.start && at.t == process.t_max() ? prior_scale_of(process) : process.sigma(at.t);
        conversion const end = model.x0_at(at.t);
        network_input const ask = model.input_at(at.t);
        time = ask.time;
        return regression_row<double>{ask.scale * alpha, ask.scale * sigma, 1, 0, end.x / ask.scale, end.output, 1};
    });
    device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, target, d});
    return {{{device, x, data.x0.shape()}, {device, t, {n}}, {}, data.labels}, target, rows};
}

}  // namespace distillation_rule

/// Numbers of distillation into few steps.
struct k_steps {
    static constexpr char const* name = "k_steps";
    int steps = 4;  ///< k, >= 1

    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(k_steps const&, k_steps const&) = default;
};

/// Distillation into k steps: from each of the k points where sampling stops on its way, learn where the path ends. For pairs
/// (x0, noise) made by a solver,
///
///     x_t = alpha x0 + sigma noise,    t one of the first k times of the grid, with equal probability
///     target = x0                      loss = distance(x0_theta(x_t, t) - x0)
///
/// At the first time x is what sampling starts from, prior_scale_of(process) noise at t_max. The model is sampled by
/// euler{.steps = k} on the same grid; k = 1 is `one_step_distillation`. x_t lies on the path that it stands for only where paths are
/// straight, so pairs must come from the flow that is distilled, best from one that reflow has straightened.
///
///     onestep::k_step_distillation{{.steps = 4}}
///     onestep::k_step_distillation{{.steps = 4}, onestep::pseudo_huber{}, onestep::trailing_grid{}}      // on a discrete process
///
/// Times come from stream (key, time). The constructor throws domain_error for steps < 1; `build` shape_error for a batch without noise
/// or with noise not shaped like x0, and domain_error if the model's target says nothing about x0 at a time of the grid.
/// Cost: one fused pass for x_t and target.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), section 3, and its code for k > 1.
template <distance Distance = squared, spec Grid = uniform_grid> class k_step_distillation {
public:
    static constexpr char const* name = "k_step_distillation";

    explicit k_step_distillation(k_steps const& numbers = {}, Distance const& distance = {}, Grid const& grid = {})
        : numbers_(numbers), distance_(distance), grid_(grid) {
        if (numbers.steps < 1) raise<domain_error>(name, "steps is " + std::to_string(numbers.steps), "at least 1 is needed");
    }

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        auto const& process = model.process();
        static_assert(grid<Grid, std::remove_cvref_t<decltype(process)>>,
                      "This grid has no times for the model's process: see time/grid.hpp.");
        random_stream const times = key.at(draw::time);
        return distillation_rule::problem(name, model, data, memory, [&](index_t row) {
            int const i = static_cast<int>(below(times, static_cast<std::uint64_t>(numbers_.steps), row));
            return distillation_rule::place{grid_.time(process, process.t_max(), process.t_min(), numbers_.steps, i), i == 0};
        });
    }

    void fields(auto&& visit) const {
        visit("steps", numbers_.steps);
        visit("distance", distance_);
        visit("grid", grid_);
    }

private:
    k_steps numbers_;
    Distance distance_;
    Grid grid_;
};

}  // namespace onestep
