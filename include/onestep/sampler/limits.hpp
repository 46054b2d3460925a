#pragma once
/// Limits on predicted clean samples, applied inside the pass that uses them.
///
///     auto x = sample(limited{flow, clip{-1, 1}}, ddim{.steps = 50}, z);
#include <cmath>
#include <utility>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "../model/model.hpp"

namespace onestep {

/// x0 is clamped to [low, high], the range of the data. Never for latents or data without bounds.
struct clip {
    static constexpr char const* name = "clip";
    double low = -1, high = 1;  ///< low < high

    void check() const {
        if (!(low < high))
            raise<domain_error>(name, "low is " + to_string(low) + " and high is " + to_string(high), "low must be less than high");
    }
    void fields(auto&& visit) const {
        visit("low", low);
        visit("high", high);
    }
    friend bool operator==(clip const&, clip const&) = default;
};

/// Each sample is clamped to [-s, s] and divided by s, where s is a quantile of its |x0|, but at least 1 and at most `ceiling`:
/// values that guidance drove out of [-1, 1] come back without flattening the picture.
///
/// The quantile is linearly interpolated; NaN counts as larger than anything. A ceiling of 1 is `clip{-1, 1}` (the default of some
/// implementations).
/// Cost: besides the step one pass that stores x0 and about 33 over it that count (dynamic_threshold.hpp).
/// Source: Saharia et al. 2022 (arXiv:2205.11487), section 2.3.
struct dynamic_threshold {
    static constexpr char const* name = "dynamic_threshold";
    double quantile = 0.995;    ///< in (0, 1]
    double ceiling = HUGE_VAL;  ///< >= 1

    void check() const {
        if (!(quantile > 0 && quantile <= 1)) raise<domain_error>(name, "quantile is " + to_string(quantile), "it must be in (0, 1]");
        if (!(ceiling >= 1)) raise<domain_error>(name, "ceiling is " + to_string(ceiling), "it must be at least 1");
    }
    void fields(auto&& visit) const {
        visit("quantile", quantile);
        visit("ceiling", ceiling);
    }
    friend bool operator==(dynamic_threshold const&, dynamic_threshold const&) = default;
};

/// A model whose predicted clean samples are limited. An lvalue model is kept by reference and must outlive it, an rvalue is owned:
/// limited{flow.guided(labels, {}), dynamic_threshold{}}. Throws domain_error for limits outside their range.
template <class Model, class Limits> class limited {
    using inner = std::remove_cvref_t<Model>;
    static_assert(denoiser<inner>, "Limits are put on a denoiser: limited{model{net, process, target}, clip{-1, 1}}.");

public:
    using network_type = typename inner::network_type;
    using process_type = typename inner::process_type;
    using target_type = typename inner::target_type;

    limited(Model&& model, Limits const& limits) : model_(std::forward<Model>(model)), limits_(limits) { limits.check(); }

    auto& network() const { return std::as_const(model_).network(); }
    process_type const& process() const { return model_.process(); }
    target_type const& target() const { return model_.target(); }
    network_input input_at(double t) const { return model_.input_at(t); }
    conversion velocity_at(double t) const { return model_.velocity_at(t); }
    conversion x0_at(double t) const { return model_.x0_at(t); }
    Limits const& limits() const { return limits_; }

private:
    Model model_;
    Limits limits_;
};

template <class Model, class Limits> limited(Model&&, Limits) -> limited<Model, Limits>;

}  // namespace onestep
