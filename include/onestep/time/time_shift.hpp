#pragma once
/// The shift of times towards the noise that large images want, shared by shifted_grid and shifted_density.
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// u -> s u / (1 + (s - 1) u) for the fraction u of the range [low, high] at which t lies; 1 leaves t where it is, larger
/// ones move it to the noise. On rectified flow the noise-to-signal level t / (1 - t) is multiplied by s. Ends stay.
/// Throws domain_error unless shift > 0 and the range lies in [0, 1]; `name` is the caller's.
/// Source: Esser et al. 2024 (arXiv:2403.03206), equation 23.
inline double shifted_time(char const* name, double shift, double low, double high, double t) {
    if (!(shift > 0 && shift < HUGE_VAL)) raise<domain_error>(name, "shift is " + to_string(shift), "it must be > 0");
    if (!(0 <= low && low < high && high <= 1))
        raise<domain_error>(name, "the process runs on [" + to_string(low) + ", " + to_string(high) + "]",
                            "a shift is defined on times in [0, 1]");
    double const u = (t - low) / (high - low);
    if (u >= 1) return high;
    return low + (high - low) * (shift * u / (1 + (shift - 1) * u));
}

}  // namespace onestep
