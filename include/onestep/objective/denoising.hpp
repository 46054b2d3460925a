#pragma once
#include "../backend/random_fill.hpp"
#include "../time/uniform_density.hpp"
#include "regression_rows.hpp"
#include "weighting.hpp"

namespace onestep {

/// The space of a model's own output, whatever its target is.
struct network_output {
    static constexpr char const* name = "network_output";
    void fields(auto&&) const {}
    friend bool operator==(network_output const&, network_output const&) = default;
};

template <class S>
concept regression_space = target<S> || std::same_as<S, network_output>;

namespace denoising_rule {

/// What a model says about a space at m. A denoiser need have a target for this only beyond velocity and x0.
template <target Space, class Model> conversion said(Model const& model, Space const& space, marginal const& m) {
    if constexpr (std::same_as<Space, velocity>) return model.velocity_at(m.t);
    else if constexpr (std::same_as<Space, x0>) return model.x0_at(m.t);
    else {
        static_assert(
            requires { model.target(); },
            "This space is reached from the model's target: the model needs a member target() beside those of a denoiser.");
        return convert(model.target(), space, m);
    }
}

/// The problem of denoising: x_t and its value in `space`, at times of a density.
template <target Space, spec Density, weighting Weighting, denoiser Model, class T, class Backend>
regression<T, Backend> problem(char const* name, Space const& space, Density const& density, Weighting const& weight, Model const& model,
                               batch<T, Backend> const& data, random_key key, arena<Backend>& memory) {
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
        time = density.sample(process, times, row);
        marginal const m = marginal_at(process, time);
        conversion const prediction = said(model, space, m);
        target_weights const wanted = space.weights(m);
        if (!std::isfinite(wanted.x0) || !std::isfinite(wanted.epsilon))
            raise<domain_error>(name, "t is " + to_string(time) + " with alpha = " + to_string(m.alpha) + ", sigma = " + to_string(m.sigma),
                                std::string(Space::name) + " is infinite there; keep the density away from this time");
        network_input const ask = model.input_at(time);
        time = ask.time;
        return regression_row<double>{ask.scale * m.alpha, ask.scale * m.sigma,        wanted.x0, wanted.epsilon, prediction.x / ask.scale,
                                      prediction.output,   weight_in(weight, space, m)};
    });
    if (data.noise.empty()) for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows, data.x0.data(), x, target});
    else device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, target, d});
    return {{{device, x, data.x0.shape()}, {device, t, {n}}, {}, data.labels}, target, rows};
}

}  // namespace denoising_rule

/// Denoising, or score matching: regress a linear combination of sample and noise, whatever the network predicts.
///
///     x_t = alpha x0 + sigma epsilon       target = p x0 + q epsilon       loss = w(t) distance(prediction(x_t, t) - target)
///
///     onestep::denoising{}                                                               // the model's own output
///     onestep::denoising{onestep::epsilon{}}                                             // DDPM; score matching weighted by sigma^2
///     onestep::denoising{onestep::network_output{}, onestep::squared{}, onestep::log_normal{}}                    // EDM
///     onestep::denoising{onestep::x0{}, onestep::squared{}, onestep::uniform_density{}, onestep::truncated_snr{}} // distillation's base
///     onestep::denoising{onestep::score{}, onestep::squared{}, onestep::uniform_density{}, onestep::likelihood_weight{}}
///
/// p and q are those of the space: epsilon, x0, v_prediction, velocity, score, another target with its numbers, or network_output, the
/// model's own target. Losses in two spaces differ by a factor that depends on t alone; weights that are given on x0 make up for it
/// (weighting.hpp), so that with them the space matters only for the distance that is not squared and for rounding. Regressing the
/// velocity is `flow_matching`.
///
/// Times come from stream (key, time), noise from (key, noise) unless the batch brings it along: a row sees the same numbers in any batch.
/// Throws shape_error if noise is given that is not shaped like x0, domain_error if at a drawn time the model's target says nothing
/// about the space, or what is regressed or its weight is infinite there.
/// Cost: one fused pass for x_t and target.
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239); Song et al. 2021 (arXiv:2011.13456), equation 7; Karras et al. 2022
/// (arXiv:2206.00364), equation 8; Vincent 2011 (Neural Computation 23) for the idea.
template <regression_space Space = network_output, distance Distance = squared, spec Density = uniform_density,
          weighting Weighting = unit_weight>
class denoising {
public:
    static constexpr char const* name = "denoising";

    explicit denoising(Space const& space = {}, Distance const& distance = {}, Density const& density = {}, Weighting const& weight = {})
        : space_(space), distance_(distance), density_(density), weight_(weight) {}

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        if constexpr (target<Space>) return denoising_rule::problem(name, space_, density_, weight_, model, data, key, memory);
        else return denoising_rule::problem(name, model.target(), density_, weight_, model, data, key, memory);
    }

    void fields(auto&& visit) const {
        visit("space", space_);
        visit("distance", distance_);
        visit("density", density_);
        visit("weight", weight_);
    }

private:
    Space space_;
    Distance distance_;
    Density density_;
    Weighting weight_;
};

}  // namespace onestep
