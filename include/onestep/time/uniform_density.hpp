#pragma once
#include "density.hpp"

namespace onestep {

/// t ~ U(t_min, t_max).
struct uniform_density {
    static constexpr char const* name = "uniform_density";
    double sample(process auto const& p, random_stream s, index_t row) const {
        double const low = p.t_min(), high = p.t_max();
        return low + (high - low) * uniform(s, row);
    }
    void fields(auto&&) const {}
    friend bool operator==(uniform_density const&, uniform_density const&) = default;
};

}  // namespace onestep
