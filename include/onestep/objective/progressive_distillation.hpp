#pragma once
#include "../backend/random_fill.hpp"
#include "../time/uniform_grid.hpp"
#include "regression_rows.hpp"
#include "row_step.hpp"
#include "snr_weighting.hpp"
#include "teacher.hpp"

namespace onestep {

/// Numbers of progressive distillation.
struct progressive_steps {
    static constexpr char const* name = "progressive_steps";
    int steps = 4;        ///< N of the student, >= 1; the teacher takes 2 N
    double guidance = 1;  ///< s in F_u + s (F_c - F_u) of the teacher; needs labels unless 1

    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("guidance", guidance);
    }
    friend bool operator==(progressive_steps const&, progressive_steps const&) = default;
};

/// Two DDIM steps of a teacher, t -> m -> s, as one: the x0 at t with which a single step from t lands where the two do.
///
///     x0 = (x_s - (sigma_s/sigma_t) x_t) / (alpha_s - (sigma_s/sigma_t) alpha_t) = w D(x_t, t) + (1 - w) D(x_m, m)
///
/// with D what the teacher predicts. As a mean of the two it holds its digits however close the times are, and at sigma_s = 0, where
/// w = 0, it is the second one.
template <denoiser Teacher> row_step two_steps_in_one(Teacher const& teacher, double t, double m, double s) {
    auto const& p = teacher.process();
    ddim_step const first = ddim_step_of(p, t, m, 0), second = ddim_step_of(p, m, s, 0);
    double const through = second.x * first.x0, weight = through / (through + second.x0), rest = second.x0 / (through + second.x0);
    conversion const here = teacher.x0_at(t), ahead = teacher.x0_at(m);
    double const inner_x = first.x + first.x0 * here.x, inner_first = first.x0 * here.output;
    return {weight * here.x + rest * ahead.x * inner_x,
            weight * here.output + rest * ahead.x * inner_first,
            rest * ahead.output,
            inner_x,
            inner_first,
            m};
}

/// Progressive distillation: one step of the student does what two of its teacher do.
///
///     x_t = alpha x0 + sigma epsilon                   t: one of the N times at which a sampler of N steps stands, with equal probability
///     target = the x0 that two DDIM steps of the teacher, t -> m -> s, amount to (two_steps_in_one)
///     loss = w(t) distance(x0_theta(x_t, t) - target)
///
/// t and s are neighbours on the grid of N steps, m the time between them on that of 2 N. The student is sampled by
/// ddim{.steps = N} on the same grid, and can be the next teacher: train/progressive.hpp does all the halvings.
///
///     onestep::progressive_distillation{teacher, {.steps = 4}}                                        // w = max(SNR, 1)
///     onestep::progressive_distillation{teacher, {.steps = 4}, onestep::squared{}, onestep::snr_plus_one{}}
///     onestep::progressive_distillation{teacher, {.steps = 4}, onestep::squared{}, onestep::unit_weight{}, onestep::power_grid{7}}
///
/// Weights are those of x0: truncated_snr, snr_plus_one (the squared error of v) or unit_weight; another may be given. Any process,
/// sigma = t included, and any target, the student's and the teacher's need not be the same. Grids must place m between t and s, which
/// karras_grid's last interval does not; power_grid{7} stands in for it, as it ends at 0.
///
/// The teacher is referred to and must outlive it; it is given the batch's labels. Levels come from stream (key, time), noise from
/// (key, noise) unless the batch brings it along.
/// Throws domain_error for steps < 1, a student on another process than the teacher's, guidance without labels, a grid that does not
/// fit, and where student or teacher say nothing about x0; shape_error for noise that is not shaped like x0.
/// Cost: two evaluations of the teacher (four with guidance), 5 tensors of x's shape, four fused passes.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), algorithm 2 and appendix G.
template <denoiser Teacher, distance Distance = squared, weighting Weighting = truncated_snr, spec Grid = uniform_grid>
class progressive_distillation {
public:
    static constexpr char const* name = "progressive_distillation";

    explicit progressive_distillation(Teacher const& teacher, progressive_steps const& numbers = {}, Distance const& distance = {},
                                      Weighting const& weight = {}, Grid const& grid = {})
        : teacher_(teacher), numbers_(numbers), distance_(distance), weight_(weight), grid_(grid) {
        if (numbers.steps < 1) raise<domain_error>(name, "steps is " + std::to_string(numbers.steps), "at least 1 is needed");
    }
    explicit progressive_distillation(Teacher const&&, progressive_steps const& = {}, Distance const& = {}, Weighting const& = {},
                                      Grid const& = {}) = delete;

    Distance const& distance() const { return distance_; }

    template <denoiser Model, class T, class Backend>
    regression<T, Backend> build(Model const& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        auto const& process = model.process();
        using process_type = std::remove_cvref_t<decltype(process)>;
        static_assert(grid<Grid, process_type>, "This grid has no times for the model's process: see time/grid.hpp.");
        require_same_process(process);
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        T* const t = memory.template take<T>(n);
        auto* const rows = memory.template take<regression_row<T>>(n);
        T* const x = memory.template take<T>(n * d);
        T* const target = memory.template take<T>(n * d);

        random_stream const levels = key.at(draw::time);
        upload_rows(device, n, t, rows, [&](index_t row, double& time) {
            marginal const m = marginal_at(process, times_of_row(process, levels, row).t);
            conversion const clean = model.x0_at(m.t);
            network_input const ask = model.input_at(m.t);
            time = ask.time;
            // What is mixed where the target will be is x_t itself, from which the teacher sets out.
            return regression_row<double>{ask.scale * m.alpha, ask.scale * m.sigma,        m.alpha, m.sigma, clean.x / ask.scale,
                                          clean.output,        weight_in(weight_, x0{}, m)};
        });
        if (data.noise.empty()) for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows, data.x0.data(), x, target});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, target, d});
        view<T, Backend> const state(device, target, data.x0.shape());
        auto const plan = [&](index_t row) {
            interval const at = times_of_row(process, levels, row);
            return timed_row_step{at.t, two_steps_in_one(*teacher_, at.t, at.m, at.s)};
        };
        run_row_steps(*teacher_, data.labels, numbers_.guidance, plan, view<T const, Backend>(state), state, memory);
        return {{{device, x, data.x0.shape()}, {device, t, {n}}, {}, data.labels}, target, rows};
    }

    void fields(auto&& visit) const {
        visit("teacher", teacher_);
        visit("steps", numbers_.steps);
        visit("guidance", numbers_.guidance);
        visit("distance", distance_);
        visit("weight", weight_);
        visit("grid", grid_);
    }

private:
    struct interval {
        double t, m, s;
    };
    template <class Process> interval times_of_row(Process const& process, random_stream levels, index_t row) const {
        int const steps = numbers_.steps, i = static_cast<int>(below(levels, static_cast<std::uint64_t>(steps), row));
        auto const time = [&](int of, int k) { return grid_.time(process, process.t_max(), process.t_min(), of, k); };
        interval const at{time(steps, i), time(2 * steps, 2 * i + 1), time(steps, i + 1)};
        if (!(at.s < at.m && at.m < at.t))
            raise<domain_error>(name,
                                "step " + std::to_string(i) + " of " + std::to_string(steps) + " leads from " + to_string(at.t) + " to " +
                                    to_string(at.s) + ", and the grid of twice as many has " + to_string(at.m),
                                "it must lie between them");
        return at;
    }
    template <class Process> void require_same_process(Process const& process) const {
        constexpr bool same = std::same_as<Process, std::remove_cvref_t<decltype(teacher_->process())>>;
        static_assert(same, "Progressive distillation wants student and teacher on one process: bring the teacher there by `matched`.");
        if constexpr (same && std::equality_comparable<Process>)
            if (!(process == teacher_->process()))
                raise<domain_error>(name, "the student's process is not the teacher's",
                                    "both must have the same numbers; `matched` brings a teacher to another process");
    }

    teacher_reference<Teacher> teacher_;
    progressive_steps numbers_;
    Distance distance_;
    Weighting weight_;
    Grid grid_;
};

}  // namespace onestep
