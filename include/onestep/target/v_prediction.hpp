#pragma once
#include "concept.hpp"

namespace onestep {

/// The network predicts F = alpha epsilon - sigma x0, at right angles to x_t = alpha x0 + sigma epsilon.
/// Well-conditioned everywhere: x0 = (alpha x - sigma F) / (alpha^2 + sigma^2), the denominator is 1 if variance is
/// preserved. On the circle (cos, sin) it is dx/d(angle); unlike `velocity` it does not depend on how fast t runs.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), section 4.
struct v_prediction {
    static constexpr char const* name = "v_prediction";
    target_weights weights(marginal const& m) const { return {-m.sigma, m.alpha}; }
    void fields(auto&&) const {}
    friend bool operator==(v_prediction const&, v_prediction const&) = default;
};

static_assert(target<v_prediction>);

}  // namespace onestep
