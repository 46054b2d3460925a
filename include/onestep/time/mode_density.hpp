#pragma once
#include "density.hpp"

namespace onestep {

/// A density with a mode in the middle of the path and positive weight at its ends:
///
///     t = t_min + (t_max - t_min) (1 - u - k (cos^2(pi u / 2) - 1 + u)),    u ~ U(0, 1),    k = scale
///
/// scale 0 is uniform_density; a negative one favours the ends.
/// Throws domain_error unless -1 <= scale <= 2 / (pi - 2), beyond which times would leave the path.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1, "mode sampling with heavy tails".
struct mode_density {
    static constexpr char const* name = "mode_density";
    double scale = 1.29;  ///< in [-1, 1.7519]

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(scale >= -1 && scale <= 1.751938393884109))
            raise<domain_error>(name, "scale is " + to_string(scale), "it must lie in [-1, 2 / (pi - 2)]");
        double const low = p.t_min(), high = p.t_max(), u = uniform(s, row), cosine = std::cos(1.5707963267948966 * u);
        return std::fmin(std::fmax(low + (high - low) * (1 - u - scale * (cosine * cosine - 1 + u)), low), high);
    }
    void fields(auto&& visit) const { visit("scale", scale); }
    friend bool operator==(mode_density const&, mode_density const&) = default;
};

}  // namespace onestep
