#pragma once
#include "../core/number_list.hpp"
#include "grid.hpp"

namespace onestep {

/// Times given one by one, from noise to data: explicit_grid{{1, 0.6, 0}} makes two steps.
/// A time that lies beyond an end by rounding is that end.
/// Throws domain_error if the solver asks for another number of steps, and for times outside the process's range.
struct explicit_grid {
    static constexpr char const* name = "explicit_grid";
    std::vector<double> times;

    double time(process auto const&, double from, double to, int steps, int i) const {
        if (times.size() != static_cast<std::size_t>(steps) + 1)
            raise<domain_error>(name, "steps is " + std::to_string(steps) + " and " + std::to_string(times.size()) + " times were given",
                                "that many steps have " + std::to_string(steps + 1) + " times");
        double const t = times[static_cast<std::size_t>(i)];
        double const rounding = 1e-12 * (from - to);
        if (!(t >= to - rounding && t <= from + rounding))
            raise<domain_error>(name, "time " + std::to_string(i) + " is " + to_string(t),
                                "the process runs from " + to_string(from) + " to " + to_string(to));
        return std::fmin(std::fmax(t, to), from);
    }
    void fields(auto&& visit) const { visit("times", number_list(times)); }
    friend bool operator==(explicit_grid const&, explicit_grid const&) = default;
};

}  // namespace onestep
