#pragma once
#include "density.hpp"

namespace onestep {

/// The log-SNR of the cosine path at uniform angles, mapped to the straight path:
///
///     t = 1 - 1 / (1 + tan(pi u / 2)),  u ~ U(0, 1),      density 2 / (pi (1 - 2 t + 2 t^2)) on [0, 1]
///
/// On a process with another range, t is the fraction of the range.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1 ("CosMap").
struct cosine_density {
    static constexpr char const* name = "cosine_density";
    double sample(process auto const& p, random_stream s, index_t row) const {
        double const angle = 1.5707963267948966 * uniform(s, row), low = p.t_min(), high = p.t_max();
        return low + (high - low) * (std::sin(angle) / (std::sin(angle) + std::cos(angle)));
    }
    void fields(auto&&) const {}
    friend bool operator==(cosine_density const&, cosine_density const&) = default;
};

}  // namespace onestep
