#pragma once
#include "concept.hpp"

namespace onestep {

/// The midpoint method for the probability-flow ODE: the slope half way.
///
///     x~ = x_i + h/2 u(x_i, t_i)      x_{i+1} = x_i + h u(x~, t_i + h/2)          h = t_{i+1} - t_i
///
/// It never asks at the end of a step, so it reaches the data with every target.
/// Cost: 2 evaluations a step, 3 tensors of x's shape.  Order: 2 (tests/sampler/midpoint.cpp).
struct midpoint {
    static constexpr char const* name = "midpoint";
    static constexpr int order = 2;
    int steps = 18;  ///< intervals of the grid, >= 1

    void step(auto& run, double t, double s) const {
        double const h = s - t;
        auto const x = run.x();
        auto const here = run.velocity(x, t);
        auto const middle = run.scratch();
        affine_step half(middle);
        half.add(1, x);
        here.add_to(half, h / 2);
        half.run();
        affine_step next(x);
        next.add(1, x);
        run.velocity(middle, t + h / 2).add_to(next, h);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(midpoint const&, midpoint const&) = default;
};

}  // namespace onestep
