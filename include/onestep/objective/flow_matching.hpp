#pragma once
#include "denoising.hpp"

namespace onestep {

/// Flow matching: regress the velocity of the path that joins a sample and its noise.
///
///     x_t = alpha x0 + sigma epsilon       target = alpha' x0 + sigma' epsilon       loss = w(t) distance(u_theta(x_t, t) - target)
///
/// u_theta is the model's velocity whatever its target is. With a batch of clean samples noise is drawn independently
/// (rectified flow's first round); with pairs the given noise is used, which is reflow: the same type on another coupling.
///
/// Times come from stream (key, time), noise from (key, noise): a row sees the same numbers in any batch.
/// Throws shape_error if noise is given that is not shaped like x0, domain_error if the model's target says nothing about
/// the velocity at a drawn time.
/// Cost: one fused pass for x_t and target.
/// Source: Lipman et al. 2022 (arXiv:2210.02747); Liu, Gong, Liu 2022 (arXiv:2209.03003).
template <distance Distance = squared, spec Density = uniform_density, weighting Weighting = unit_weight> class flow_matching {
public:
    static constexpr char const* name = "flow_matching";

    explicit flow_matching(Distance const& distance = {}, Density const& density = {}, Weighting const& weight = {})
        : distance_(distance), density_(density), weight_(weight) {}

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        return denoising_rule::problem(name, velocity{}, density_, weight_, model, data, key, memory);
    }

    void fields(auto&& visit) const {
        visit("distance", distance_);
        visit("density", density_);
        visit("weight", weight_);
    }

private:
    Distance distance_;
    Density density_;
    Weighting weight_;
};

}  // namespace onestep
