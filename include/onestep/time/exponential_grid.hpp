#pragma once
#include "noise_ladder.hpp"

namespace onestep {

/// Noise levels se = sigma / alpha with equal steps in log se, then the process's end.
///
///     se_i = sigma_max (sigma_min / sigma_max)^(i / (n - 1)),    i = 0 .. n - 1,    t_n = t_min
///
/// Ends, defaults and errors are karras_grid's, whose limit it is for large rho. In log-SNR the same steps are equal too:
/// log_snr_grid names the ends in that scale.
struct exponential_grid {
    static constexpr char const* name = "exponential_grid";
    double sigma_min = 0;  ///< the last level before the process's end; 0: its field sigma_min if it has one, else 0.002
    double sigma_max = 0;  ///< the first level; 0: the process's at t_max

    double time(process auto const& p, double from, double to, int steps, int i) const {
        auto const ladder = noise_ladder::of(name, p, from, to, steps, sigma_max, sigma_min);
        return ladder.time(p, from, to, steps, i, [&](double fraction) {
            double const first = std::log(ladder.first), last = std::log(ladder.last);
            return std::exp(first + (last - first) * fraction);
        });
    }
    void fields(auto&& visit) const {
        visit("sigma_min", sigma_min);
        visit("sigma_max", sigma_max);
    }
    friend bool operator==(exponential_grid const&, exponential_grid const&) = default;
};

}  // namespace onestep
