#pragma once
#include "noise_ladder.hpp"

namespace onestep {

/// Noise levels se = sigma / alpha with equal steps in se^(1 / rho), then the process's end.
///
///     se_i = (sigma_max^(1/rho) + (sigma_min^(1/rho) - sigma_max^(1/rho)) i / (n - 1))^rho,    i = 0 .. n - 1,    t_n = t_min
///
/// With n = 1 it is [sigma_max, t_min]. Where the process itself ends at sigma_min or above, se_n is that end and the steps
/// divide by n. Works on any process; one that starts at an infinite level (rectified flow) needs sigma_max.
/// Throws domain_error for rho <= 0, a negative sigma_min, a sigma_max above the process's start, and levels that do not fall.
/// Source: Karras et al. 2022 (arXiv:2206.00364), equation 5.
struct karras_grid {
    static constexpr char const* name = "karras_grid";
    double rho = 7;        ///< > 0; larger ones crowd the data end
    double sigma_min = 0;  ///< the last level before the process's end; 0: its field sigma_min if it has one, else 0.002
    double sigma_max = 0;  ///< the first level; 0: the process's at t_max

    double time(process auto const& p, double from, double to, int steps, int i) const {
        if (!(rho > 0 && rho < HUGE_VAL)) raise<domain_error>(name, "rho is " + to_string(rho), "it must be > 0");
        auto const ladder = noise_ladder::of(name, p, from, to, steps, sigma_max, sigma_min);
        return ladder.time(p, from, to, steps, i, [&](double fraction) {
            double const first = std::pow(ladder.first, 1 / rho), last = std::pow(ladder.last, 1 / rho);
            return std::pow(first + (last - first) * fraction, rho);
        });
    }
    void fields(auto&& visit) const {
        visit("rho", rho);
        visit("sigma_min", sigma_min);
        visit("sigma_max", sigma_max);
    }
    friend bool operator==(karras_grid const&, karras_grid const&) = default;
};

}  // namespace onestep
