#pragma once
#include "../backend/random_fill.hpp"
#include "../time/uniform_density.hpp"
#include "regression_rows.hpp"
#include "weighting.hpp"

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
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        T* const t = memory.template take<T>(n);
        auto* const rows = memory.template take<regression_row<T>>(n);
        T* const x = memory.template take<T>(n * d);
        T* const target = memory.template take<T>(n * d);

        auto const& process = model.process();
        static_assert(time_density<Density, std::remove_cvref_t<decltype(process)>>,
                      "This density draws no times for the model's process: see time/density.hpp.");
        random_stream const times = key.at(draw::time);
        upload_rows(device, n, t, rows, [&](index_t row, double& time) {
            time = density_.sample(process, times, row);
            marginal const m = marginal_at(process, time);
            conversion const u = model.velocity_at(time);
            network_input const ask = model.input_at(time);
            time = ask.time;
            return regression_row<double>{ask.scale * m.alpha,
                                          ask.scale * m.sigma,
                                          m.alpha_derivative,
                                          m.sigma_derivative,
                                          u.x / ask.scale,
                                          u.output,
                                          static_cast<double>(weight_(m))};
        });
        if (data.noise.empty()) for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows, data.x0.data(), x, target});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, target, d});
        return {{device, x, data.x0.shape()}, {device, t, {n}}, target, rows};
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
