#pragma once
/// A solver is a spec: plain numbers and a rule for one step. It is told the interval [t, s] and given the run, a `trajectory`,
/// through which it evaluates the model, draws noise, remembers and combines tensors; it keeps nothing itself, so one solver and one
/// model serve many runs at once.
///
///     struct my_euler {
///         static constexpr char const* name = "my_euler";
///         static constexpr int order = 1;
///         int steps = 10;
///         void step(auto& run, double t, double s) const {
///             affine_step next(run.x());
///             next.add(1, run.x());
///             run.velocity(run.x(), t).add_to(next, s - t);
///             next.run();
///         }
///         void fields(auto&& visit) const { visit("steps", steps); }
///     };

#include "trajectory.hpp"

namespace onestep {

/// `order` is tested; `step(run, t, s)` moves run.x() from t to s; `steps` is the default number of intervals.
template <class S, class Run>
concept solver = spec<S> && requires(S const& s, Run& run, double t) {
    { S::order } -> std::convertible_to<int>;
    { s.steps } -> std::convertible_to<int>;
    s.step(run, t, t);
};

/// A solver that uses what it remembers of earlier steps says so, and cannot be repeated over the same interval.
template <class S> constexpr bool remembers() {
    if constexpr (requires { S::remembers; }) return S::remembers;
    else return false;
}

}  // namespace onestep
