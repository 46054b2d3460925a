#pragma once
#include "concept.hpp"

namespace onestep {

/// Heun's method for the probability-flow ODE: the mean of the slopes at both ends of a step.
///
///     d = u(x_i, t_i)          x~ = x_i + h d          h = t_{i+1} - t_i
///     x_{i+1} = x_i + h/2 (d + u(x~, t_{i+1}))
///
/// The last step is Euler's where the model's velocity does not exist at its end (x0 and epsilon targets at the data).
/// Cost: 2 evaluations a step, 3 tensors of x's shape.  Order: 2 (tests/sampler/heun.cpp).
/// Not to be confused with Heun's third-order method. Source: Karras et al. 2022, algorithm 1 (arXiv:2206.00364).
struct heun {
    static constexpr char const* name = "heun";
    static constexpr int order = 2;
    int steps = 18;  ///< intervals of the grid, >= 1

    void step(auto& run, double t, double s) const {
        auto const x = run.x();
        auto const here = run.velocity(x, t);
        if (!run.has_velocity(s)) {
            affine_step next(x);
            next.add(1, x);
            here.add_to(next, s - t);
            next.run();
            return;
        }
        auto const ahead = run.scratch();
        affine_step guess(ahead);
        guess.add(1, x);
        here.add_to(guess, s - t);
        guess.run();
        affine_step next(x);
        next.add(1, x);
        here.add_to(next, (s - t) / 2);
        run.velocity(ahead, s).add_to(next, (s - t) / 2);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(heun const&, heun const&) = default;
};

}  // namespace onestep
