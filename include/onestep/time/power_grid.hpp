#pragma once
#include "grid.hpp"

namespace onestep {

/// Equal steps in t^(1 / exponent), both ends exact; exponent 2 is the quadratic grid. Larger ones crowd the data end.
///
///     t_i = (from^(1/e) + (to^(1/e) - from^(1/e)) i / steps)^e
///
/// Throws domain_error unless exponent > 0 and times are >= 0.
/// Source: Song, Meng, Ermon 2020 (arXiv:2010.02502), appendix D.2; Lu et al. 2022 (arXiv:2206.00927).
struct power_grid {
    static constexpr char const* name = "power_grid";
    double exponent = 2;  ///< > 0

    double time(process auto const&, double from, double to, int steps, int i) const {
        if (!(exponent > 0 && exponent < HUGE_VAL)) raise<domain_error>(name, "exponent is " + to_string(exponent), "it must be > 0");
        if (!(from >= 0 && to >= 0))
            raise<domain_error>(name, "the process runs from " + to_string(from) + " to " + to_string(to),
                                "a root of negative times does not exist");
        if (i == 0) return from;
        if (i == steps) return to;
        double const first = std::pow(from, 1 / exponent), last = std::pow(to, 1 / exponent);
        return std::pow(first + (last - first) * i / steps, exponent);
    }
    void fields(auto&& visit) const { visit("exponent", exponent); }
    friend bool operator==(power_grid const&, power_grid const&) = default;
};

}  // namespace onestep
