#pragma once
#include "concept.hpp"

namespace onestep {

/// The network predicts dx/dt along the path: F = alpha' x0 + sigma' epsilon. For rectified flow that is epsilon - x0.
/// Not to be confused with Salimans and Ho's v = alpha epsilon - sigma x0, which does not depend on how fast t runs.
/// Source: Lipman et al. 2022 (arXiv:2210.02747).
struct velocity {
    static constexpr char const* name = "velocity";
    target_weights weights(marginal const& m) const { return {m.alpha_derivative, m.sigma_derivative}; }
    void fields(auto&&) const {}
    friend bool operator==(velocity const&, velocity const&) = default;
};

static_assert(target<velocity>);

}  // namespace onestep
