#pragma once
/// Where continuous consistency takes the derivative along a path from: along which path, and how it is taken.
///
///     along_data          dx/da of the pair of sample and noise, exact derivative by the network's jvp
///     from_teacher        dx/da as a teacher tells it, exact derivative by the student's jvp
///     by_differences      dx/da of the pair, derivative by a central difference along it: for networks without jvp
#include <cmath>

#include "../backend/arena.hpp"
#include "../network/guided.hpp"
#include "teacher.hpp"
#include "trigonometric_view.hpp"

namespace onestep {

/// Coefficients of one row; the same in backend memory.
template <class T> struct tangent_row {
    T x0[4] = {}, noise[4] = {};  ///< input k = x0[k] x0 + noise[k] epsilon; input 0 is what the student reads
    T part[4] = {};               ///< of the source's own pass
    T total[4] = {};              ///< dF_trig/dlog(sigma / alpha) = total . (input 0, dx/da, F, what the source leaves in `tangent`)

    void set_input(int k, double scale, double of_x0, double of_noise) {
        x0[k] = static_cast<T>(scale * of_x0);
        noise[k] = static_cast<T>(scale * of_noise);
    }
};

/// What a source is given to work on, in backend memory.
template <class T, class Backend> struct tangent_work {
    network_call<T, Backend> call;  ///< of the student; x is inputs[0]
    tangent_row<T> const* rows;     ///< [n]
    T* inputs[4];                   ///< [n, ...] each; inputs[1] becomes dx/da
    T* clocks[2];                   ///< [n] each
    T *output, *tangent;            ///< [n, ...], F and its derivative, to be written

    Backend& device() const { return call.x.backend(); }
    index_t rows_of_batch() const { return call.x.rows(); }
    index_t cols() const { return call.x.cols(); }
    view<T, Backend> like_x(T* data) const { return {device(), data, call.x.shape()}; }
    view<T, Backend> clock(int k) const { return {device(), clocks[k], {rows_of_batch()}}; }
};

namespace functor {
/// Count blends of a pair in one pass; the noise is given.
template <class T, int Count> struct blend_pair {
    tangent_row<T> const* rows;
    T const *x0, *noise;
    T* out[4];
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        tangent_row<T> const row = rows[r];
        T const clean = x0[i], z = noise[i];
        for (int k = 0; k < Count; ++k) out[k][i] = math::fma(row.x0[k], clean, row.noise[k] * z);
    }
};
/// The same with noise made on the spot.
template <class T, int Count> struct blend_noise {
    tangent_row<T> const* rows;
    T const* x0;
    T* out[4];
    ONESTEP_HD void operator()(index_t r, index_t i, float deviate) const {
        tangent_row<T> const row = rows[r];
        T const clean = x0[i], z = static_cast<T>(deviate);
        for (int k = 0; k < Count; ++k) out[k][i] = math::fma(row.x0[k], clean, row.noise[k] * z);
    }
};
/// From what a teacher was asked and answered: dx/da, which takes the place of the question, and the tangent of the student's input.
template <class T> struct teacher_velocity {
    tangent_row<T> const* rows;
    T const *x, *answer;
    T *velocity, *vx;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        tangent_row<T> const row = rows[r];
        T const u = math::fma(row.part[0], velocity[i], row.part[1] * answer[i]);
        vx[i] = math::fma(row.part[2], x[i], row.part[3] * u);
        velocity[i] = u;
    }
};
/// The difference of F_trig between two levels, divided by their distance; takes the place of the later answer.
template <class T> struct level_difference {
    tangent_row<T> const* rows;
    T const *later_x, *earlier_x, *earlier;
    T* later;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        tangent_row<T> const row = rows[r];
        later[i] =
            math::fma(row.part[0], later_x[i], row.part[1] * later[i]) + math::fma(row.part[2], earlier_x[i], row.part[3] * earlier[i]);
    }
};
}  // namespace functor

namespace calling {
/// Whether a network has a derivative of one time, with labels or without.
template <class Network, class T, class Backend> constexpr bool takes_any_jvp() {
    using in = view<T const, Backend>;
    using out = view<T, Backend>;
    using names = view<std::int32_t const, Backend>;
    return takes_jvp<Network, in, in, in, in, out, out> || takes_jvp<Network, in, in, in, in, names, out, out> ||
           takes_forward_jvp<Network, in, in, in, in, out, out> || takes_forward_jvp<Network, in, in, in, in, names, out, out>;
}
}  // namespace calling

namespace trigonometric_rule {
/// What both exact sources have in common: the student's input, and how F_trig's derivative is made of the network's.
template <class Model>
trigonometric_view exact_row(Model const& model, double sigma_data, double t, flow_angle a, trigonometric_view const& v,
                             tangent_row<double>& row) {
    trigonometric_view const slope = trigonometric_slope_of(model, sigma_data, t);
    row.total[0] = slope.x / v.scale;
    row.total[1] = v.x * a.cosine * a.sine;
    row.total[2] = slope.output;
    row.total[3] = v.output;
    return slope;
}
}  // namespace trigonometric_rule

/// Fills a row's coefficients and clocks, then makes dx/da, F (so that it can be differentiated) and its tangent.
/// `inputs`: how many blends of sample and noise it wants, the student's input first. A row that does not move (at the boundary) keeps
/// coefficients of zero; what networks answer there is not looked at.
template <class S>
concept tangent_source = spec<S> && requires(S const& s) {
    { S::inputs } -> std::convertible_to<int>;
    { s.guided() } -> std::same_as<bool>;
    s.check();
};

/// The path of a pair, dx/da = cos(a) sd epsilon - sin(a) x0, whose mean at given x is the flow's: consistency training (sCT).
/// Cost: the student's forward and one derivative.
struct along_data {
    static constexpr char const* name = "along_data";
    static constexpr int inputs = 3;
    static constexpr bool asks_derivative = true;

    template <class Model>
    void describe(Model const& model, double sigma_data, double t, flow_angle a, trigonometric_view const& v, bool moves,
                  tangent_row<double>& row, double (&clocks)[2]) const {
        if (!moves) return;
        trigonometric_view const slope = trigonometric_rule::exact_row(model, sigma_data, t, a, v, row);
        double const both = v.scale * a.cosine * a.sine;
        row.set_input(1, 1, -a.sine, sigma_data * a.cosine);
        row.set_input(2, 1, slope.scale * a.cosine - both * a.sine, sigma_data * (slope.scale * a.sine + both * a.cosine));
        clocks[0] = slope.time;
    }
    template <class Model, class T, class Backend>
    void run(Model& model, tangent_work<T, Backend> const& work, double, arena<Backend>&) const {
        forward_jvp<false>(model.network(), work.call, call_tangent<T, Backend>{work.like_x(work.inputs[2]), work.clock(0)},
                           work.like_x(work.output), work.like_x(work.tangent));
    }
    bool guided() const { return false; }
    void check() const {}
    void fields(auto&&) const {}
    friend bool operator==(along_data const&, along_data const&) = default;
};

/// The flow as a teacher tells it, dx/da = sd F_trig: consistency distillation (sCD). The teacher may have another process and target:
/// it is asked at its own time of the same signal-to-noise ratio, or at the nearest that it has. It is referred to and must outlive
/// this.
/// Cost: besides the student's forward and one derivative, the teacher's evaluation (two with guidance).
template <denoiser Teacher> class from_teacher {
public:
    static constexpr char const* name = teacher_reference<Teacher>::name;
    static constexpr int inputs = 2;
    static constexpr bool asks_derivative = true;

    from_teacher(Teacher const& teacher) : teacher_(teacher) {}
    from_teacher(Teacher const&&) = delete;

    Teacher const& teacher() const { return *teacher_; }

    template <class Model>
    void describe(Model const& model, double sigma_data, double t, flow_angle a, trigonometric_view const& v, bool moves,
                  tangent_row<double>& row, double (&clocks)[2]) const {
        auto const& process = teacher_->process();
        double const level = noise_to_signal(model.process(), t),
                     own = std::fmin(std::fmax(time_of_noise_to_signal(process, level), process.t_min()), process.t_max());
        clocks[1] = teacher_->input_at(own).time;
        if (!moves) return;
        trigonometric_view const slope = trigonometric_rule::exact_row(model, sigma_data, t, a, v, row),
                                 told = trigonometric_view_of(*teacher_, sigma_data, own);
        row.set_input(1, told.scale, a.cosine, sigma_data * a.sine);
        row.part[0] = sigma_data * told.x / told.scale;
        row.part[1] = sigma_data * told.output;
        row.part[2] = slope.scale / v.scale;
        row.part[3] = v.scale * a.cosine * a.sine;
        clocks[0] = slope.time;
    }
    template <class Model, class T, class Backend>
    void run(Model& model, tangent_work<T, Backend> const& work, double guidance, arena<Backend>&) const {
        view<T, Backend> const answer = work.like_x(work.tangent);  // the tangent comes later
        evaluate_guided(teacher_->network(), network_call<T, Backend>{work.like_x(work.inputs[1]), work.clock(1), {}, work.call.labels},
                        guidance, answer, work.inputs[2]);
        work.device().for_each_pair(
            work.rows_of_batch(), work.cols(),
            functor::teacher_velocity<T>{work.rows, work.inputs[0], answer.data(), work.inputs[1], work.inputs[2], work.cols()});
        forward_jvp<false>(model.network(), work.call, call_tangent<T, Backend>{work.like_x(work.inputs[2]), work.clock(0)},
                           work.like_x(work.output), work.like_x(work.tangent));
    }
    bool guided() const { return true; }
    void check() const {}
    void fields(auto&& visit) const { teacher_.fields(visit); }

private:
    teacher_reference<Teacher> teacher_;
};

/// The path of a pair, with the derivative from two more evaluations at sigma / alpha times e^step and e^-step, same sample and noise:
/// consistency training for networks without jvp. Truncation falls as step^2, rounding grows as 1 / step; in float 0.005 to 0.02 are
/// good. Within a step of an end of the process, or of a boundary, it is taken a little inside.
/// Cost: the student's forward and two evaluations, two more tensors of x's shape.
struct by_differences {
    static constexpr char const* name = "by_differences";
    static constexpr int inputs = 4;
    static constexpr bool asks_derivative = false;
    double step = 0.01;  ///< in (0, 1], of log(sigma / alpha)

    template <class Model>
    void describe(Model const& model, double sigma_data, double t, flow_angle a, trigonometric_view const&, bool moves,
                  tangent_row<double>& row, double (&clocks)[2]) const {
        if (!moves) return;
        row.set_input(1, 1, -a.sine, sigma_data * a.cosine);
        row.total[3] = 1;
        double const middle = trigonometric_rule::log_level_inside(model, t, 1.5 * step);
        for (int side : {1, -1}) {
            int const k = side > 0 ? 0 : 1;
            double const time = time_of_noise_to_signal(model.process(), std::exp(middle + side * step));
            flow_angle const moved = flow_angle_of(marginal_at(model.process(), time), sigma_data);
            trigonometric_view const v = trigonometric_view_of(model, sigma_data, time);
            row.set_input(2 + k, v.scale, moved.cosine, sigma_data * moved.sine);
            row.part[2 * k] = side * v.x / (2 * step * v.scale);
            row.part[2 * k + 1] = side * v.output / (2 * step);
            clocks[k] = v.time;
        }
    }
    template <class Model, class T, class Backend>
    void run(Model& model, tangent_work<T, Backend> const& work, double, arena<Backend>& memory) const {
        T* const earlier = memory.template take<T>(work.call.x.size());
        forward<false>(model.network(), work.call, work.like_x(work.output));
        evaluate<false>(model.network(), network_call<T, Backend>{work.like_x(work.inputs[2]), work.clock(0), {}, work.call.labels},
                        work.like_x(work.tangent));
        evaluate<false>(model.network(), network_call<T, Backend>{work.like_x(work.inputs[3]), work.clock(1), {}, work.call.labels},
                        work.like_x(earlier));
        work.device().for_each_pair(
            work.rows_of_batch(), work.cols(),
            functor::level_difference<T>{work.rows, work.inputs[2], work.inputs[3], earlier, work.tangent, work.cols()});
    }
    bool guided() const { return false; }
    void check() const {
        if (!(step > 0 && step <= 1)) raise<domain_error>(name, "step is " + to_string(step), "it must be in (0, 1]");
    }
    void fields(auto&& visit) const { visit("step", step); }
    friend bool operator==(by_differences const&, by_differences const&) = default;
};

static_assert(tangent_source<along_data> && tangent_source<by_differences>);

}  // namespace onestep
