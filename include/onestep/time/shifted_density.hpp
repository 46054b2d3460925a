#pragma once
#include "density.hpp"
#include "logit_normal.hpp"
#include "time_shift.hpp"

namespace onestep {

/// Times of another density, shifted towards the noise as shifted_grid does it: shifted_density{logit_normal{}, 3}.
/// Throws domain_error unless shift > 0 and the process's times lie in [0, 1], and what the density throws.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 5.3.2.
template <spec Density = logit_normal> struct shifted_density {
    static constexpr char const* name = "shifted_density";
    Density density = {};
    double shift = 3;  ///< > 0; 1 leaves the density as it is

    template <process P>
    requires time_density<Density, P>
    double sample(P const& p, random_stream s, index_t row) const {
        return shifted_time(name, shift, p.t_min(), p.t_max(), density.sample(p, s, row));
    }
    void fields(auto&& visit) const {
        visit("density", density);
        visit("shift", shift);
    }
    friend bool operator==(shifted_density const&, shifted_density const&) = default;
};

template <class Density> shifted_density(Density) -> shifted_density<Density>;
template <class Density> shifted_density(Density, double) -> shifted_density<Density>;

}  // namespace onestep
