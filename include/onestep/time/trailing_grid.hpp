#pragma once
#include "discrete_level.hpp"

namespace onestep {

/// Levels of a discrete process at equal distances, counted from the noise: t_i = round(N - i N / steps).
/// Starts at the noise end for any number of steps, as one step and zero terminal SNR need it.
/// Throws domain_error for more steps than levels.
/// Source: Lin et al. 2023 (arXiv:2305.08891), table 2; halves round as in diffusers.
struct trailing_grid {
    static constexpr char const* name = "trailing_grid";
    int last_level = 0;  ///< where the last step ends: 0, the data, or 1, the first noisy level (set_alpha_to_one = False)

    double time(discrete_process auto const& p, double, double, int steps, int i) const {
        discrete_level const level{name, p.steps(), steps, last_level};
        if (i == steps) return level.last();
        // The stride is taken as the difference of two points, whose rounding error decides some halves the way numpy's arange does.
        double const n = p.steps(), stride = (n - n / steps) - n;
        return level.at(std::nearbyint(n + i * stride) - 1);
    }
    void fields(auto&& visit) const { visit("last_level", last_level); }
    friend bool operator==(trailing_grid const&, trailing_grid const&) = default;
};

}  // namespace onestep
