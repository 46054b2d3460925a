#pragma once
#include "weighting.hpp"

namespace onestep {

/// alpha / sigma in the space that is regressed: the inverse of the noise-to-signal ratio, 1 / (sigma_data tan t) on trigonometric flow.
/// Infinite at sigma = 0.
/// Source: Lu, Song 2024 (arXiv:2410.11081), section 4.2.
struct inverse_noise_level {
    static constexpr char const* name = "inverse_noise_level";
    double operator()(marginal const& m) const { return m.alpha / m.sigma; }
    void fields(auto&&) const {}
    friend bool operator==(inverse_noise_level const&, inverse_noise_level const&) = default;
};

static_assert(weighting<inverse_noise_level>);

}  // namespace onestep
