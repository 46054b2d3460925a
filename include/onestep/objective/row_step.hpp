#pragma once
/// One step of a solver where every row starts and arrives at times of its own, as distillation asks of its teacher.
#include <algorithm>

#include "../model/model.hpp"
#include "../network/call.hpp"
#include "../network/guided.hpp"
#include "../sampler/ddim.hpp"
#include "../sampler/dpm_solver_2s.hpp"
#include "../sampler/euler.hpp"
#include "../sampler/heun.hpp"
#include "../time/pair.hpp"

namespace onestep {

/// A step from t to s in terms of what the network answers:
///
///     F = net(x_t)        y = inner_x x_t + inner_first F        G = net(y)        x_s = x x_t + first F + second G
///
/// With second = 0 it asks once.
struct row_step {
    double x = 1, first = 0, second = 0;
    double inner_x = 1, inner_first = 0, inner_time = 0;  ///< where G is asked, and at which time of the process
};

/// Whether a model's answer determines the velocity at t.
template <denoiser Model> bool has_velocity(Model const& model, double t) {
    return has_network_time(model.target(), model.process(), t) &&
           is_convertible(model.target(), velocity{}, marginal_at(model.process(), t));
}

/// Euler's step in t.
template <denoiser Model> row_step row_step_of(euler const&, Model const& model, double t, double s) {
    conversion const u = model.velocity_at(t);
    return {1 + (s - t) * u.x, (s - t) * u.output};
}
/// Heun's step in t; Euler's to a time where the model has no velocity.
template <denoiser Model> row_step row_step_of(heun const&, Model const& model, double t, double s) {
    row_step const guess = row_step_of(euler{}, model, t, s);
    if (!has_velocity(model, s)) return guess;
    conversion const here = model.velocity_at(t), ahead = model.velocity_at(s);
    double const half = (s - t) / 2;
    return {1 + half * (here.x + ahead.x * guess.x),
            half * (here.output + ahead.x * guess.first),
            half * ahead.output,
            guess.x,
            guess.first,
            s};
}
/// The step of first order in sigma / alpha. Throws domain_error unless eta = 0.
template <denoiser Model> row_step row_step_of(ddim const& solver, Model const& model, double t, double s) {
    if (solver.eta != 0) raise<domain_error>(ddim::name, "eta is " + to_string(solver.eta), "a teacher's step draws no noise: eta = 0");
    ddim_step const c = ddim_step_of(model.process(), t, s, 0);
    conversion const data = model.x0_at(t);
    return {c.x + c.x0 * data.x, c.x0 * data.output};
}
/// The step of second order in log-SNR; of first order from alpha = 0 or to sigma = 0.
template <denoiser Model> row_step row_step_of(dpm_solver_2s const& solver, Model const& model, double t, double s) {
    if (!(solver.ratio > 0 && solver.ratio <= 1))
        raise<domain_error>(dpm_solver_2s::name, "ratio is " + to_string(solver.ratio), "it must be in (0, 1]");
    auto const& p = model.process();
    log_snr_step const to = log_snr_step_of(dpm_solver_2s::name, p, t, s);
    conversion const here = model.x0_at(t);
    if (!to.is_finite()) return {to.left + to.first * here.x, to.first * here.output};
    double const middle = solver.ratio == 1 ? s : p.time_of_log_snr(2 * (to.from + solver.ratio * to.h));
    log_snr_step const part = log_snr_step_of(dpm_solver_2s::name, p, t, middle);
    double const slope = to.alpha_s * slope_weight(solver.form, to.h) * to.h / part.h, rest = to.first - slope;
    conversion const inside = model.x0_at(middle);
    double const inner_x = part.left + part.first * here.x, inner_first = part.first * here.output;
    return {to.left + rest * here.x + slope * inside.x * inner_x,
            rest * here.output + slope * inside.x * inner_first,
            slope * inside.output,
            inner_x,
            inner_first,
            middle};
}

/// A solver whose steps can be told by a row_step: euler, heun, ddim, dpm_solver_2s. To add your own, write row_step_of for it, in
/// its namespace.
template <class S, class Model>
concept row_solver = spec<S> && requires(S const& s, Model const& model, double t) {
    { row_step_of(s, model, t, t) } -> std::same_as<row_step>;
};

/// The same numbers in backend memory, scaled as the network wants its input.
template <class T> struct row_step_numbers { T scale, inner_x, inner_first, x, first, second; };

namespace functor {
/// What the network reads first.
template <class T> struct row_step_ask {
    row_step_numbers<T> const* rows;
    T const* x;
    T* read;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { read[r * cols + c] = rows[r].scale * x[r * cols + c]; }
};
/// What it reads then.
template <class T> struct row_step_inner {
    row_step_numbers<T> const* rows;
    T const *x, *first;
    T* read;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        row_step_numbers<T> const row = rows[r];
        read[i] = math::fma(row.inner_first, first[i], row.inner_x * x[i]);
    }
};
/// x_s. A second answer that does not count is not looked at: it may be anything.
template <class T, bool Twice> struct row_step_end {
    row_step_numbers<T> const* rows;
    T const *x, *first, *second;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        row_step_numbers<T> const row = rows[r];
        T total = math::fma(row.first, first[i], row.x * x[i]);
        if constexpr (Twice) total = row.second == 0 ? total : math::fma(row.second, second[i], total);
        out[i] = total;
    }
};
}  // namespace functor

/// A step of one row, and the time of the process at which it begins.
struct timed_row_step {
    double t = 0;
    row_step step = {};
};

/// Carries each row of x by a step of its own: plan(r) returns row r's timed_row_step. x is the state itself, not scaled for a network;
/// x_s may be its memory. `labels` (empty: none) go to the teacher; with guidance it answers F_u + guidance (F_c - F_u).
///
/// Throws domain_error for guidance other than 1 without labels; shape_error for labels that the network does not take.
/// Cost: one evaluation of all rows, two if any row asks twice (with guidance twice that), 3 or 4 tensors of x's shape, and one pass an
/// evaluation, besides one that scales where the target does.
template <denoiser Teacher, class T, class Backend, class Plan>
void run_row_steps(Teacher const& teacher, view<std::int32_t const, Backend> labels, double guidance, Plan const& plan,
                   view<T const, Backend> x, view<T, Backend> x_s, arena<Backend>& memory) {
    static_assert(
        !requires { teacher.limits(); }, "A teacher's step knows no limits on x0: give the model without them.");
    if (guidance != 1 && labels.data() == nullptr)
        raise<domain_error>("row_steps", "guidance is " + to_string(guidance) + " and the batch has no labels",
                            "without labels it must be 1");
    Backend& device = x.backend();
    index_t const n = x.rows(), d = x.cols();
    view<T, Backend> const t(device, memory.template take<T>(n), {n}), inner_t(device, memory.template take<T>(n), {n});
    auto* const rows = memory.template take<row_step_numbers<T>>(n);
    bool scaled = false, twice = false;

    constexpr index_t part = 64;
    T told[part], inner_told[part];
    row_step_numbers<T> numbers[part];
    for (index_t begin = 0; begin < n; begin += part) {
        index_t const count = std::min(part, n - begin);
        for (index_t i = 0; i < count; ++i) {
            auto const [time, step] = plan(begin + i);
            network_input const ask = teacher.input_at(time), inner = step.second == 0 ? ask : teacher.input_at(step.inner_time);
            scaled = scaled || ask.scale != 1;
            twice = twice || step.second != 0;
            told[i] = static_cast<T>(ask.time);
            inner_told[i] = static_cast<T>(inner.time);
            numbers[i] = {static_cast<T>(ask.scale),
                          static_cast<T>(inner.scale * step.inner_x),
                          static_cast<T>(inner.scale * step.inner_first),
                          static_cast<T>(step.x),
                          static_cast<T>(step.first),
                          static_cast<T>(step.second)};
        }
        device.upload(told, count, t.data() + begin);
        device.upload(inner_told, count, inner_t.data() + begin);
        device.upload(numbers, count, rows + begin);
    }

    auto const take = [&] { return view<T, Backend>(device, memory.template take<T>(n * d), x.shape()); };
    view<T, Backend> const first = take(), read = scaled || twice ? take() : view<T, Backend>{};
    T* const spare = guidance == 1 ? nullptr : memory.template take<T>(n * d);
    if (scaled) device.for_each_pair(n, d, functor::row_step_ask<T>{rows, x.data(), read.data(), d});
    evaluate_guided(teacher.network(), network_call<T, Backend>{scaled ? view<T const, Backend>(read) : x, t, {}, labels}, guidance, first,
                    spare);
    if (!twice) {
        device.for_each_pair(n, d, functor::row_step_end<T, false>{rows, x.data(), first.data(), nullptr, x_s.data(), d});
        return;
    }
    view<T, Backend> const second = take();
    device.for_each_pair(n, d, functor::row_step_inner<T>{rows, x.data(), first.data(), read.data(), d});
    evaluate_guided(teacher.network(), network_call<T, Backend>{read, inner_t, {}, labels}, guidance, second, spare);
    device.for_each_pair(n, d, functor::row_step_end<T, true>{rows, x.data(), first.data(), second.data(), x_s.data(), d});
}

/// Carries each row of x by one step of the teacher's probability-flow ODE: row r from x_t to x_s, where times(r) returns its
/// time_pair (s = t leaves it as it is). The rest is as above.
///
/// Coefficients are worked out in double on the host. Throws domain_error for guidance other than 1 without labels, and where teacher or
/// solver has no answer at a row's times; shape_error for labels that the network does not take.
/// Cost: two evaluations with heun and dpm_solver_2s, one otherwise (with guidance twice that).
template <denoiser Teacher, class Solver, class T, class Backend, class Times>
void row_steps(Teacher const& teacher, Solver const& solver, view<std::int32_t const, Backend> labels, double guidance, Times const& times,
               view<T const, Backend> x, view<T, Backend> x_s, arena<Backend>& memory) {
    static_assert(row_solver<Solver, Teacher>,
                  "This solver does not step row by row: take euler, heun, ddim or dpm_solver_2s, or write row_step_of for it.");
    auto const plan = [&](index_t row) {
        time_pair const at = times(row);
        return timed_row_step{at.t, at.s == at.t ? row_step{} : row_step_of(solver, teacher, at.t, at.s)};
    };
    run_row_steps(teacher, labels, guidance, plan, x, x_s, memory);
}

}  // namespace onestep
