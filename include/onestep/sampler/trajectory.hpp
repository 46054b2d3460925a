#pragma once
/// One run of a solver.
#include <array>
#include <vector>

#include "../backend/arena.hpp"
#include "../backend/fill.hpp"
#include "../model/model.hpp"
#include "data_step.hpp"
#include "dynamic_threshold.hpp"

namespace onestep {

/// A velocity in the form solvers use it: u = coefficient.x * x + coefficient.output * f. Never stored as one tensor.
template <class T, class Backend> struct slope {
    view<T const, Backend> x, f;
    conversion coefficient;
    /// Adds h u to a step.
    void add_to(affine_step<T, Backend>& step, double h) const { step.add(h * coefficient.x, x).add(h * coefficient.output, f); }
};

/// What the network said at (x, t).
template <class T, class Backend> struct prediction {
    view<T const, Backend> x, f;
    double t;
};

/// What the network is told and how its answer is read where each row stands at a time of its own. Velocities are
/// u = x x_r + output D with D = bound(data_x x_r + data_output F).
template <class T> struct row_clock { T time, scale, data_x, data_output, x, output; };

namespace functor {
template <class T> struct tell_times {
    row_clock<T> const* clocks;
    T* t;
    ONESTEP_HD void operator()(index_t r) const { t[r] = clocks[r].time; }
};
template <class T> struct scale_rows {
    row_clock<T> const* clocks;
    T const* x;
    T* scaled;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { scaled[r * cols + c] = clocks[r].scale * x[r * cols + c]; }
};
/// The velocity of a row at its own time, from the network's answer f; where bounds depend on the row, from D itself.
template <class T, class Bound> struct row_velocity {
    row_clock<T> const* clocks;
    T const *x, *f;
    Bound bound;
    ONESTEP_HD T operator()(index_t r, index_t i) const {
        row_clock<T> const& c = clocks[r];
        T data = f[i];
        if constexpr (std::is_same_v<Bound, bounded<T>>) data = math::fma(c.data_output, data, c.data_x * x[i]);
        return math::fma(c.output, bound(r, data), c.x * x[i]);
    }
};
/// f becomes D.
template <class T> struct row_data {
    row_clock<T> const* clocks;
    T const* x;
    T* f;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        f[i] = math::fma(clocks[r].data_output, f[i], clocks[r].data_x * x[i]);
    }
};
}  // namespace functor

/// What a solver works with: the state x, the model, where the run stands, noise, memory of earlier steps, and scratch tensors
/// that live as long as the step. It belongs to one run; model and solver are shared.
template <denoiser Model, class T, class Backend> class trajectory {
public:
    using value_type = T;
    using backend_type = Backend;
    using process_type = typename Model::process_type;

    static constexpr std::size_t max_scratch = 12, max_kept = 4, max_lasting = 2, max_row_arrays = 8;

    /// The times must outlive it.
    trajectory(Model const& model, std::vector<double> const& times, view<T, Backend> x, arena<Backend>& memory, random_key key)
        : model_(model), times_(times), x_(x), memory_(memory), key_(key), t_(x.backend(), memory.template take<T>(x.rows()), {x.rows()}) {}

    view<T, Backend> x() const { return x_; }
    Model const& model() const { return model_; }
    process_type const& process() const { return model_.process(); }
    index_t evaluations() const { return evaluations_; }

    /// Number of the step that runs, from 0, and how many there are.
    int index() const { return index_; }
    int steps() const { return static_cast<int>(times_.size()) - 1; }
    double time(int i) const { return times_[static_cast<std::size_t>(i)]; }
    double half_log_snr(double t) const { return process().log_snr(t) / 2; }

    /// Scratch shaped like x. The k-th call of each step gets the same memory.
    view<T, Backend> scratch() {
        if (used_ == max_scratch) raise<domain_error>("trajectory", "a 13th scratch tensor was asked for", "a step uses at most 12");
        return tensor_at(scratch_[used_++]);
    }
    /// The k-th tensor, shaped like x, that lives as long as the run.
    view<T, Backend> lasting(std::size_t k) { return tensor_at(lasting_[k]); }

    /// The k-th array of one value a row, in the backend's memory, that lives as long as the run. A k goes with one type.
    template <class Value> Value* row_array(std::size_t k) {
        if (row_arrays_[k] == nullptr) row_arrays_[k] = memory_.template take<Value>(x_.rows());
        return static_cast<Value*>(row_arrays_[k]);
    }

    /// The k-th unit noise of this step; no other purpose shares its stream.
    random_stream noise(std::uint64_t k = 0) const {
        return key_.at_step(static_cast<std::uint64_t>(index_)).at(draw::solver, k + (static_cast<std::uint64_t>(round_) << 16));
    }

    // Memory of earlier steps: a ring of tensors with the times at which they were predicted.

    /// Where this step stores what later steps shall see; `t` is its time. It becomes kept(1) when the next step does the same.
    view<T, Backend> keep(double t) {
        newest_ = (newest_ + 1) % max_kept;
        kept_count_ = std::min(kept_count_ + 1, max_kept);
        kept_times_[newest_] = t;
        return tensor_at(kept_[newest_]);
    }
    /// How many earlier steps are remembered beside the one that last called `keep`: at most 3.
    int remembered() const { return kept_count_ == 0 ? 0 : static_cast<int>(kept_count_) - 1; }
    view<T const, Backend> kept(int k) { return tensor_at(kept_[slot(k)]); }
    double kept_time(int k) const { return kept_times_[slot(k)]; }
    /// Forgets all of it: for a state that does not continue the last one.
    void forget() { kept_count_ = 0; }

    // Evaluation of the model.

    /// Whether the model's output determines the velocity at t. A limited one goes through the clean sample, which says nothing
    /// about it at sigma = 0.
    bool has_velocity(double t) const {
        if (!has_network_time(model_.target(), process(), t)) return false;
        marginal const m = marginal_at(process(), t);
        if constexpr (is_limited) return is_convertible(model_.target(), x0{}, m) && is_convertible(x0{}, onestep::velocity{}, m);
        else return is_convertible(model_.target(), onestep::velocity{}, m);
    }
    /// What the network says at (x, t): one evaluation. Throws domain_error where t means nothing to it.
    prediction<T, Backend> predict(view<T const, Backend> x, double t) {
        view<T, Backend> const f = scratch();
        evaluate(x, t, f);
        return {x, f, t};
    }
    /// The same from a network that also writes v, shaped like x: net(x, t, y, v).
    prediction<T, Backend> predict(view<T const, Backend> x, double t, view<T, Backend> v) {
        view<T, Backend> const f = scratch();
        evaluate(x, t, f, v);
        return {x, f, t};
    }
    /// The velocity at (x, t): one evaluation. Where the model's clean samples are limited, that of the limited one.
    slope<T, Backend> velocity(view<T const, Backend> x, double t) {
        if constexpr (is_limited) {
            conversion const c = convert(x0{}, onestep::velocity{}, marginal_at(process(), t));
            prediction<T, Backend> const p = predict(x, t);
            view<T, Backend> const data = scratch();
            advance(p, data_step<T, Backend>{{{{data, 0, 1, {}}}}});
            return {x, data, c};
        } else {
            conversion const c = model_.velocity_at(t);
            prediction<T, Backend> const p = predict(x, t);
            return {x, p.f, c};
        }
    }
    /// The numbers of a row that stands at t. Throws domain_error where the model has no velocity.
    row_clock<T> clock(double t) const {
        marginal const m = marginal_at(process(), t);
        conversion to_data{0, 1}, to_velocity;
        if constexpr (is_limited) {
            to_data = model_.x0_at(t);
            to_velocity = convert(x0{}, onestep::velocity{}, m);
        } else {
            to_velocity = model_.velocity_at(t);
        }
        return {static_cast<T>(network_time_of(model_.target(), process(), t)),
                static_cast<T>(input_scale_of(model_.target(), m)),
                static_cast<T>(to_data.x),
                static_cast<T>(to_data.output),
                static_cast<T>(to_velocity.x),
                static_cast<T>(to_velocity.output)};
    }
    /// Writes what the network says at (x_r, t_r), a time for each row, to f: one evaluation. `clocks` is in the backend's memory.
    void predict_rows(view<T const, Backend> x, row_clock<T> const* clocks, view<T, Backend> f) {
        Backend& device = x_.backend();
        if constexpr (scales_input<typename Model::target_type>) {
            view<T, Backend> const scaled = tensor_at(scaled_);
            device.for_each_pair(x.rows(), x.cols(), functor::scale_rows<T>{clocks, x.data(), scaled.data(), x.cols()});
            x = scaled;
        }
        device.for_each_index(x.rows(), functor::tell_times<T>{clocks, t_.data()});
        ++evaluations_;
        model_.network()(x, view<T const, Backend>(t_), f);
    }
    /// The same as a functor: velocity(r, i) of element i, in row r. It reads x and f.
    auto velocity_rows(view<T const, Backend> x, row_clock<T> const* clocks, view<T, Backend> f) {
        predict_rows(x, clocks, f);
        if constexpr (is_limited) return row_bounds(x, clocks, f, model_.limits());
        else return functor::row_velocity<T, functor::unbounded>{clocks, x.data(), f.data(), {}};
    }
    /// Runs a data step (data_step.hpp) on a prediction, whose clean sample is limited if the model says so.
    template <int Extras, int Outputs> void advance(prediction<T, Backend> const& p, data_step<T, Backend, Extras, Outputs> const& step) {
        conversion const to_data = model_.x0_at(p.t);
        if constexpr (is_limited) limit(p, to_data, step, model_.limits());
        else step.run(p.x, p.f, to_data, functor::unbounded{});
    }
    /// x' = cx x + cd D + d z in place, for a prediction at the state x itself.
    void advance(prediction<T, Backend> const& p, double cx, double cd, double d = 0) {
        data_step<T, Backend> step{{{{x_, cx, cd, {}}}}};
        step.noise = d;
        step.stream = noise();
        advance(p, step);
    }

    void begin_step(int index) {
        index_ = index;
        round_ = 0;
        used_ = 0;
    }
    /// Gives scratch back in the middle of a step, for solvers that evaluate many times.
    void reuse_scratch() { used_ = 0; }
    /// Starts the step once more, for solvers that run it several times: scratch is given back, and each round has noise of its own.
    void begin_round(int round) {
        round_ = round;
        used_ = 0;
    }

    /// Before the first step of a run over the same times.
    void begin_run() {
        forget();
        evaluations_ = 0;
    }

private:
    static constexpr bool is_limited = requires(Model const& m) { m.limits(); };

    std::size_t slot(int k) const { return (newest_ + max_kept - static_cast<std::size_t>(k)) % max_kept; }
    view<T, Backend> tensor_at(T*& memory) {
        if (memory == nullptr) memory = memory_.template take<T>(x_.size());
        return {x_.backend(), memory, x_.shape()};
    }

    template <class... More> void evaluate(view<T const, Backend> x, double t, view<T, Backend> f, More... more) {
        network_input const ask = model_.input_at(t);
        if (ask.scale != 1) {
            view<T, Backend> const scaled = tensor_at(scaled_);
            affine_step copy(scaled);
            copy.add(ask.scale, x);
            copy.run();
            x = scaled;
        }
        fill(t_, static_cast<T>(ask.time));
        view<T const, Backend> const times = t_;
        ++evaluations_;
        // A network that can use the number itself, equal for all rows, is given it.
        if constexpr (sizeof...(More) > 0) model_.network()(x, times, f, more...);
        else if constexpr (requires { model_.network().evaluate(x, times, ask.time, f); }) model_.network().evaluate(x, times, ask.time, f);
        else model_.network()(x, times, f);
    }

    template <class Step> void limit(prediction<T, Backend> const& p, conversion to_data, Step const& step, clip const& limits) {
        step.run(p.x, p.f, to_data, functor::bounded<T>{static_cast<T>(limits.low), static_cast<T>(limits.high)});
    }
    template <class Step>
    void limit(prediction<T, Backend> const& p, conversion to_data, Step const& step, dynamic_threshold const& limits) {
        view<T, Backend> const data = tensor_at(unlimited_);
        data_step<T, Backend>{{{{data, 0, 1, {}}}}}.run(p.x, p.f, to_data, functor::unbounded{});
        step.run(p.x, data, {0, 1}, thresholds(limits, data));
    }
    auto row_bounds(view<T const, Backend> x, row_clock<T> const* clocks, view<T, Backend> f, clip const& limits) const {
        functor::bounded<T> const bound{static_cast<T>(limits.low), static_cast<T>(limits.high)};
        return functor::row_velocity<T, functor::bounded<T>>{clocks, x.data(), f.data(), bound};
    }
    auto row_bounds(view<T const, Backend> x, row_clock<T> const* clocks, view<T, Backend> f, dynamic_threshold const& limits) {
        x_.backend().for_each_pair(x.rows(), x.cols(), functor::row_data<T>{clocks, x.data(), f.data(), x.cols()});
        return functor::row_velocity<T, functor::bounded_rows<T>>{clocks, x.data(), f.data(), thresholds(limits, f)};
    }
    functor::bounded_rows<T> thresholds(dynamic_threshold const& limits, view<T const, Backend> data) {
        if (row_bounds_ == nullptr) row_bounds_ = memory_.template take<T>(x_.rows());
        if (row_search_ == nullptr) row_search_ = memory_.template take<quantile_search<T>>(x_.rows());
        row_thresholds(limits, data, row_search_, row_bounds_);
        return {row_bounds_};
    }

    Model const& model_;
    std::vector<double> const& times_;
    view<T, Backend> x_;
    arena<Backend>& memory_;
    random_key key_;
    view<T, Backend> t_;
    std::array<T*, max_scratch> scratch_{};
    std::array<T*, max_kept> kept_{};
    std::array<double, max_kept> kept_times_{};
    std::array<T*, max_lasting> lasting_{};
    std::array<void*, max_row_arrays> row_arrays_{};
    T *scaled_ = nullptr, *unlimited_ = nullptr, *row_bounds_ = nullptr;
    quantile_search<T>* row_search_ = nullptr;
    std::size_t used_ = 0, newest_ = 0, kept_count_ = 0;
    int index_ = 0, round_ = 0;
    index_t evaluations_ = 0;
};

}  // namespace onestep
