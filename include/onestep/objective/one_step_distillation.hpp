#pragma once
#include "k_step_distillation.hpp"

namespace onestep {

/// One-step distillation: learn where each path ends. For pairs (x0, noise) made by a solver,
///
///     x = s noise       target = x0       loss = distance(x0_theta(x, T) - x0),    T = t_max, s = prior_scale_of(process)
///
/// so that one Euler step from pure noise lands on the sample; k_step_distillation with one step. Pairs must come from the flow that is
/// distilled, best from one that reflow has straightened. Throws shape_error for a batch without noise or with noise not shaped like
/// x0, domain_error if the model's target says nothing about x0 at T.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), section 3, "distillation".
template <distance Distance = squared> class one_step_distillation {
public:
    static constexpr char const* name = "one_step_distillation";

    explicit one_step_distillation(Distance const& distance = {}) : distance_(distance) {}

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key, arena<Backend>& memory) const {
        double const end = model.process().t_max();
        return distillation_rule::problem(name, model, data, memory, [&](index_t) { return distillation_rule::place{end, true}; });
    }

    void fields(auto&& visit) const { visit("distance", distance_); }

private:
    Distance distance_;
};

}  // namespace onestep
