#pragma once
#include "grid.hpp"
#include "time_shift.hpp"

namespace onestep {

/// Equal steps in t, shifted towards the noise: t_i = s u / (1 + (s - 1) u), u = 1 - i / steps (time_shift.hpp).
/// For a process on [0, 1]; on a part of it u is the fraction of that part.
/// Throws domain_error unless shift > 0 and the process's times lie in [0, 1].
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 5.3.2; 3 for images of 1024 x 1024.
struct shifted_grid {
    static constexpr char const* name = "shifted_grid";
    double shift = 3;  ///< > 0; 1 is uniform_grid

    double time(process auto const&, double from, double to, int steps, int i) const {
        double const t = shifted_time(name, shift, to, from, from + (to - from) * i / steps);
        return i == steps ? to : t;
    }
    void fields(auto&& visit) const { visit("shift", shift); }
    friend bool operator==(shifted_grid const&, shifted_grid const&) = default;
};

}  // namespace onestep
