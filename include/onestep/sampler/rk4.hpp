#pragma once
#include "concept.hpp"

namespace onestep {

/// The classical Runge-Kutta method for the probability-flow ODE.
///
///     k1 = u(x, t)   k2 = u(x + h/2 k1, t + h/2)   k3 = u(x + h/2 k2, t + h/2)   k4 = u(x + h k3, t + h)
///     x' = x + h/6 (k1 + 2 k2 + 2 k3 + k4)
///
/// A last step whose end has no velocity (x0 and epsilon targets at the data) is Euler's.
/// Cost: 4 evaluations a step, 7 tensors of x's shape.  Order: 4 (tests/sampler/rk4.cpp).
struct rk4 {
    static constexpr char const* name = "rk4";
    static constexpr int order = 4;
    int steps = 8;  ///< intervals of the grid, >= 1

    void step(auto& run, double t, double s) const {
        double const h = s - t;
        auto const x = run.x();
        auto const k1 = run.velocity(x, t);
        affine_step next(x);
        next.add(1, x);
        if (!run.has_velocity(s)) {
            k1.add_to(next, h);
            next.run();
            return;
        }
        auto const stage = [&](auto const& k, double length) {
            auto const at = run.scratch();
            affine_step move(at);
            move.add(1, x);
            k.add_to(move, length);
            move.run();
            return at;
        };
        auto const k2 = run.velocity(stage(k1, h / 2), t + h / 2);
        auto const k3 = run.velocity(stage(k2, h / 2), t + h / 2);
        auto const k4 = run.velocity(stage(k3, h), s);
        k1.add_to(next, h / 6);
        k2.add_to(next, h / 3);
        k3.add_to(next, h / 3);
        k4.add_to(next, h / 6);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(rk4 const&, rk4 const&) = default;
};

}  // namespace onestep
