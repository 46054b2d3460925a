#pragma once
/// What grids on noise levels share: which levels they span and how their points are counted.
#include "../process/sde.hpp"
#include "grid.hpp"

namespace onestep {

/// The rungs 0 .. intervals of a grid on noise levels sigma / alpha, from `first` down to `last`. Where the process ends
/// below `last` (at no noise, as a rule), its end follows as one more time: then intervals = steps - 1.
struct noise_ladder {
    double first, last;
    int intervals;
    bool starts_with_process;  ///< rung 0 is the process's own start

    /// sigma_max = 0 stands for the process's level at `from`; sigma_min = 0 for the process's own field sigma_min if it has
    /// one, as edm does, and for 0.002 if not.
    /// Throws domain_error for a range that is empty, negative, or above the process's; `name` is the grid's.
    template <process P>
    static noise_ladder of(char const* name, P const& p, double from, double to, int steps, double sigma_max, double sigma_min) {
        if (sigma_min == 0) sigma_min = default_end(p);
        if (!(sigma_min > 0)) raise<domain_error>(name, "sigma_min is " + to_string(sigma_min), "it must be >= 0; 0 means the process's");
        if (!(sigma_max >= 0 && sigma_max < HUGE_VAL))
            raise<domain_error>(name, "sigma_max is " + to_string(sigma_max), "it must be >= 0 and finite; 0 means the process's");
        double const start = noise_to_signal(p, from), end = noise_to_signal(p, to);
        if (sigma_max > start * (1 + 1e-12))
            raise<domain_error>(name, "sigma_max is " + to_string(sigma_max), "the process starts at noise level " + to_string(start));
        bool const whole = sigma_max == 0 || sigma_max >= start * (1 - 1e-12), beyond = end < sigma_min;
        noise_ladder const ladder{whole ? start : sigma_max, beyond ? sigma_min : end, beyond ? steps - 1 : steps, whole};
        if (ladder.intervals == 0) return ladder;
        if (std::isinf(ladder.first))
            raise<domain_error>(name, "the process starts at an infinite noise level", "give sigma_max, 80 for example");
        if (!(ladder.first > ladder.last))
            raise<domain_error>(name, "the levels run from " + to_string(ladder.first) + " to " + to_string(ladder.last), "they must fall");
        return ladder;
    }

    /// Time i, where `level(fraction)` is the noise level between `first` (0) and `last` (1).
    template <process P> double time(P const& p, double from, double to, int steps, int i, auto const& level) const {
        if (i == steps) return to;
        if (i == 0) return starts_with_process ? from : time_of_noise_to_signal(p, first);
        return time_of_noise_to_signal(p, i == intervals ? last : level(static_cast<double>(i) / intervals));
    }

private:
    template <process P> static double default_end(P const& p) {
        if constexpr (requires {
                          { p.sigma_min } -> std::convertible_to<double>;
                      })
            return p.sigma_min;
        else return 0.002;
    }
};

}  // namespace onestep
