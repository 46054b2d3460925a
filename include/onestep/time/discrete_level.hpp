#pragma once
/// What the grids of discrete processes share.
#include "grid.hpp"

namespace onestep {

/// The time of the literature's index in 0 .. N - 1, which is index + 1, or the last level after all steps.
/// Throws domain_error for more steps than levels, an index outside, or a last level other than 0 and 1; `name` is the grid's.
struct discrete_level {
    char const* name;
    int levels, steps, last_level;

    double last() const {
        if (last_level != 0 && last_level != 1)
            raise<domain_error>(name, "last_level is " + std::to_string(last_level), "it must be 0 or 1");
        return last_level;
    }
    double at(double index) const {
        if (steps > levels)
            raise<domain_error>(name, "steps is " + std::to_string(steps), "the process has " + std::to_string(levels) + " levels");
        if (!(index >= 0 && index < levels))
            raise<domain_error>(name, "index " + to_string(index) + " would be visited", "indices are 0 to " + std::to_string(levels - 1));
        return index + 1;
    }
};

}  // namespace onestep
