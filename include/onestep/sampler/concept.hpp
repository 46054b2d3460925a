#pragma once
/// A solver is a spec: plain numbers and a rule for one step of the probability-flow ODE dx/dt = u(x, t). It is told the
/// interval [t, s] and given a `flow` through which it evaluates the model and combines tensors; it keeps nothing.
#include <vector>

#include "../backend/fill.hpp"
#include "../backend/arena.hpp"
#include "../model/model.hpp"
#include "../time/grid.hpp"
#include "affine_step.hpp"

namespace onestep {

/// A velocity in the form solvers use it: u = coefficient.x * x + coefficient.output * f. Never stored as one tensor.
template <class T, class Backend> struct slope {
    view<T const, Backend> x, f;
    conversion coefficient;
    /// Adds h u to a step.
    void add_to(affine_step<T, Backend>& step, double h) const { step.add(h * coefficient.x, x).add(h * coefficient.output, f); }
};

/// What a solver works with during one run: the state x, the model, and scratch tensors that live as long as the step.
template <denoiser Model, class T, class Backend> class flow {
public:
    flow(Model const& model, view<T, Backend> x, arena<Backend>& memory)
        : model_(model), x_(x), memory_(memory), t_(x.backend(), memory.template take<T>(x.rows()), {x.rows()}) {}

    view<T, Backend> x() const { return x_; }
    index_t evaluations() const { return evaluations_; }

    /// Scratch shaped like x. The k-th call of each step gets the same memory.
    view<T, Backend> scratch() {
        if (used_ == tensors_.size()) raise<domain_error>("flow", "a ninth scratch tensor was asked for", "a step uses at most 8");
        if (tensors_[used_] == nullptr) tensors_[used_] = memory_.template take<T>(x_.size());
        return {x_.backend(), tensors_[used_++], x_.shape()};
    }
    void begin_step() { used_ = 0; }

    /// Whether the model's output determines the velocity at t.
    bool has_velocity(double t) const { return is_convertible(model_.target(), onestep::velocity{}, marginal_at(model_.process(), t)); }

    /// The velocity at (x, t): one network evaluation.
    slope<T, Backend> velocity(view<T const, Backend> x, double t) {
        conversion const c = model_.velocity_at(t);
        view<T, Backend> const f = scratch();
        evaluate(x, t, f);
        return {x, f, c};
    }

private:
    void evaluate(view<T const, Backend> x, double t, view<T, Backend> f) {
        fill(t_, static_cast<T>(t));
        model_.network()(x, view<T const, Backend>(t_), f);
        ++evaluations_;
    }

    Model const& model_;
    view<T, Backend> x_;
    arena<Backend>& memory_;
    view<T, Backend> t_;
    std::array<T*, 8> tensors_{};
    std::size_t used_ = 0;
    index_t evaluations_ = 0;
};

/// `order` is tested; `step(flow, t, s)` moves flow.x() from t to s; `steps` is the default number of intervals.
template <class S, class Flow>
concept solver = spec<S> && requires(S const& s, Flow& flow, double t) {
    { S::order } -> std::convertible_to<int>;
    { s.steps } -> std::convertible_to<int>;
    s.step(flow, t, t);
};

}  // namespace onestep
