#pragma once
#include "grid.hpp"

namespace onestep {

/// Equal steps in t: t_i = from + (to - from) i / steps, both ends exact.
struct uniform_grid {
    static constexpr char const* name = "uniform_grid";
    double time(process auto const&, double from, double to, int steps, int i) const {
        return i == steps ? to : from + (to - from) * i / steps;
    }
    void fields(auto&&) const {}
    friend bool operator==(uniform_grid const&, uniform_grid const&) = default;
};

}  // namespace onestep
