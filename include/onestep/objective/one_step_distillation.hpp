#pragma once
#include "regression_rows.hpp"
#include "weighting.hpp"

namespace onestep {

/// One-step distillation: learn where each path ends. For pairs (x0, noise) made by a solver,
///
///     x = s noise       target = x0       loss = distance(x0_theta(x, T) - x0),    T = t_max, s = prior_scale_of(process)
///
/// so that one Euler step from pure noise lands on the sample. Pairs must come from the flow that is distilled, best from
/// one that reflow has straightened. Throws shape_error for a batch without noise or with noise not shaped like x0,
/// domain_error if the model's target says nothing about x0 at T.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), section 3, "distillation".
template <distance Distance = squared> class one_step_distillation {
public:
    static constexpr char const* name = "one_step_distillation";

    explicit one_step_distillation(Distance const& distance = {}) : distance_(distance) {}

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key, arena<Backend>& memory) const {
        if (data.noise.empty())
            raise<shape_error>(name, "the batch has no noise", "it learns from pairs of noise and sample, such as reflow_pairs makes");
        require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        T* const t = memory.template take<T>(n);
        auto* const rows = memory.template take<regression_row<T>>(n);
        T* const x = memory.template take<T>(n * d);
        T* const target = memory.template take<T>(n * d);

        marginal const m = marginal_at(model.process(), model.process().t_max());
        conversion const end = model.x0_at(m.t);
        network_input const ask = model.input_at(m.t);
        double const start = prior_scale_of(model.process());
        upload_rows(device, n, t, rows, [&](index_t, double& time) {
            time = ask.time;
            return regression_row<double>{0, ask.scale * start, 1, 0, end.x / ask.scale, end.output, 1};
        });
        device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, target, d});
        return {{device, x, data.x0.shape()}, {device, t, {n}}, target, rows};
    }

    void fields(auto&& visit) const { visit("distance", distance_); }

private:
    Distance distance_;
};

}  // namespace onestep
