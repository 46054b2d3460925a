#pragma once
#include "concept.hpp"

namespace onestep {

/// Euler's method for the probability-flow ODE.
///
///     x_{i+1} = x_i + (t_{i+1} - t_i) u(x_i, t_i)
///
/// Exact in one step where paths are straight, which is what reflow and distillation aim at.
/// Cost: `steps` evaluations, 1 tensor of x's shape.  Order: 1 (tests/sampler/euler.cpp).
struct euler {
    static constexpr char const* name = "euler";
    static constexpr int order = 1;
    int steps = 1;  ///< intervals of the grid, >= 1

    void step(auto& run, double t, double s) const {
        affine_step next(run.x());
        next.add(1, run.x());
        run.velocity(run.x(), t).add_to(next, s - t);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(euler const&, euler const&) = default;
};

}  // namespace onestep
