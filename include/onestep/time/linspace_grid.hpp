#pragma once
#include "discrete_level.hpp"

namespace onestep {

/// Levels of a discrete process at equal distances, both ends included, rounded (halves to the even index).
///
///     index_i = round((N - 1) (steps - 1 - i) / (steps - 1))          or, for multistep solvers,
///     index_i = round((N - 1) (steps - i) / steps),                   t_i = index_i + 1
///
/// One step of the first form visits the noise end, N - 1. (diffusers visits index 0 there, where x is data.)
/// Throws domain_error for more steps than levels and repeated times.
/// Source: Lin et al. 2023 (arXiv:2305.08891), table 2; both forms as in diffusers.
struct linspace_grid {
    static constexpr char const* name = "linspace_grid";
    bool multistep = false;  ///< false: as DDPM's and DDIM's schedulers in diffusers; true: as DPM-Solver's and UniPC's
    int last_level = 0;      ///< where the last step ends: 0, the data, or 1, the first noisy level (set_alpha_to_one = False)

    double time(discrete_process auto const& p, double, double, int steps, int i) const {
        discrete_level const level{name, p.steps(), steps, last_level};
        if (i == steps) return level.last();
        int const top = p.steps() - 1, intervals = multistep ? steps : steps - 1;
        return level.at(i == 0 ? top : std::nearbyint((intervals - i) * (static_cast<double>(top) / intervals)));
    }
    void fields(auto&& visit) const {
        visit("multistep", multistep);
        visit("last_level", last_level);
    }
    friend bool operator==(linspace_grid const&, linspace_grid const&) = default;
};

}  // namespace onestep
