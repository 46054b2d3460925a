#pragma once
#include "discrete_level.hpp"

namespace onestep {

/// Levels of a discrete process at whole multiples of N / steps rounded down, counted from the data.
///
///     index_i = (steps - 1 - i) floor(N / steps) + offset             or, for multistep solvers,
///     index_i = (steps - i) floor(N / (steps + 1)) + offset,          t_i = index_i + 1
///
/// The noise end N is not visited, so sampling starts at less noise than it is given, with one step at no noise at all:
/// trailing_grid mends that. offset = 1 is Stable Diffusion's.
/// Throws domain_error for more steps than fit, an offset that leaves the levels, and repeated times.
/// Source: Lin et al. 2023 (arXiv:2305.08891), table 2; both forms as in diffusers.
struct leading_grid {
    static constexpr char const* name = "leading_grid";
    int offset = 0;          ///< added to every index
    bool multistep = false;  ///< false: as DDPM's and DDIM's schedulers in diffusers; true: as DPM-Solver's and UniPC's
    int last_level = 0;      ///< where the last step ends: 0, the data, or 1, the first noisy level (set_alpha_to_one = False)

    double time(discrete_process auto const& p, double, double, int steps, int i) const {
        discrete_level const level{name, p.steps(), steps, last_level};
        if (i == steps) return level.last();
        int const above = multistep ? steps - i : steps - 1 - i, stride = p.steps() / (multistep ? steps + 1 : steps);
        return level.at(static_cast<double>(above) * stride + offset);
    }
    void fields(auto&& visit) const {
        visit("offset", offset);
        visit("multistep", multistep);
        visit("last_level", last_level);
    }
    friend bool operator==(leading_grid const&, leading_grid const&) = default;
};

}  // namespace onestep
