#pragma once
/// The weight of a loss between two times, on |f(x_t, t) - f(x_s, s)|^2: a difference of clean samples.
///
///     w(m_t, m_s)     a weight of both times
///     any weighting   one of the later time (weighting.hpp): unit_weight, edm_weight, ...
#include <cmath>

#include "weighting.hpp"

namespace onestep {

template <class W>
concept weighs_pairs = requires(W const& w, marginal const& t, marginal const& s) {
    { w(t, s) } -> std::convertible_to<double>;
};
template <class W>
concept pair_weighting = spec<W> &&(weighs_pairs<W> || weighting<W>);

/// The weight of the pair t > s. Throws what the weight throws.
template <pair_weighting W> double pair_weight(W const& weight, marginal const& t, marginal const& s) {
    if constexpr (weighs_pairs<W>) return static_cast<double>(weight(t, s));
    else return weight_in(weight, x0{}, t);
}

/// 1 / (se_t - se_s) with se = sigma / alpha: the loss is then about the slope of f along the path. 0 from alpha_t = 0 on.
/// Throws domain_error unless se_t > se_s. Source: Song, Dhariwal 2023 (arXiv:2310.14189), section 3.2.
struct inverse_gap {
    static constexpr char const* name = "inverse_gap";
    double operator()(marginal const& t, marginal const& s) const {
        // Over alpha_t alpha_s, which is finite where alpha_t = 0.
        double const gap = t.sigma * s.alpha - s.sigma * t.alpha;
        if (!(gap > 0))
            raise<domain_error>(name, "the pair runs from t = " + to_string(t.t) + " to s = " + to_string(s.t),
                                "the noise level must be lower at s");
        return t.alpha * s.alpha / gap;
    }
    void fields(auto&&) const {}
    friend bool operator==(inverse_gap const&, inverse_gap const&) = default;
};

static_assert(pair_weighting<inverse_gap> && pair_weighting<unit_weight>);

}  // namespace onestep
