#pragma once
#include "concept.hpp"

namespace onestep {

/// The network predicts the score of x_t given x0, F = -epsilon / sigma; trained by mean squares it becomes the gradient
/// of log p_t(x). Infinite at sigma = 0. As x0 its errors grow by sigma^2 / alpha.
/// Source: Song et al. 2021 (arXiv:2011.13456), equation 7.
struct score {
    static constexpr char const* name = "score";
    target_weights weights(marginal const& m) const { return {0, -1 / m.sigma}; }
    void fields(auto&&) const {}
    friend bool operator==(score const&, score const&) = default;
};

static_assert(target<score>);

}  // namespace onestep
