#pragma once
#include "../backend/random_fill.hpp"
#include "../time/neighbouring_levels.hpp"
#include "consistency_rows.hpp"
#include "row_step.hpp"
#include "target_average.hpp"
#include "teacher.hpp"

namespace onestep {

/// Numbers of consistency distillation.
struct consistency_distillation_options {
    static constexpr char const* name = "consistency_distillation_options";
    double guidance = 1;  ///< s in F_u + s (F_c - F_u) of the teacher; needs labels unless 1

    void fields(auto&& visit) const { visit("guidance", guidance); }
    friend bool operator==(consistency_distillation_options const&, consistency_distillation_options const&) = default;
};

/// Consistency distillation: f must say the same at two points of a teacher's path,
///
///     x_t = alpha_t x0 + sigma_t epsilon          x_s = one step of `solver` from x_t along the teacher's probability-flow ODE
///     target = f_average(x_s, s), held constant          loss = w(t, s) distance(f_theta(x_t, t) - target)
///
/// The student is a consistency_model on the teacher's process, with any target; a teacher of another process is brought there by
/// `matched`. The solver is euler, heun, ddim or dpm_solver_2s (row_step.hpp); distance, pairs, weighting and average are those of
/// consistency_training. By default it is as first published on CIFAR-10, but for the distance: 18 levels, Heun, targets from the
/// weights as they are (mu = 0); constant_levels{.count = 40} and constant_average{.mu = 0.95} are those of ImageNet 64.
///
///     onestep::consistency_model fast{net, teacher.process()};
///     onestep::trainer t{fast, onestep::consistency_distillation{teacher}, onestep::adam{}};
///
/// The teacher is referred to and must outlive it; it is given the batch's labels. A start from its weights makes training shorter.
/// Pairs come from (key, time) and key.step, noise from (key, noise).
/// Throws shape_error for noise that is not shaped like x0, domain_error for a student on another process than the teacher's, for
/// guidance without labels, and where student, teacher or solver has no answer at a drawn time.
/// Cost: the teacher's evaluations (two with heun, twice that with guidance), one of the target model, four to six fused passes.
/// Source: Song et al. 2023 (arXiv:2303.01469), algorithm 2.
template <denoiser Teacher, spec Solver = heun, distance Distance = squared, spec Pairs = neighbouring_levels<constant_levels>,
          pair_weighting Weighting = unit_weight, target_average<Pairs> Average = no_average>
class consistency_distillation {
public:
    static constexpr char const* name = "consistency_distillation";

    explicit consistency_distillation(Teacher const& teacher, Solver const& solver = {}, Distance const& distance = {},
                                      Pairs const& pairs = {}, Weighting const& weighting = {}, Average const& average = {},
                                      consistency_distillation_options const& options = {})
        : teacher_(teacher), solver_(solver), distance_(distance), pairs_(pairs), weighting_(weighting), average_(average),
          options_(options) {}
    explicit consistency_distillation(Teacher const&&, Solver const& = {}, Distance const& = {}, Pairs const& = {}, Weighting const& = {},
                                      Average const& = {}, consistency_distillation_options const& = {}) = delete;

    Teacher const& teacher() const { return *teacher_; }
    Distance const& distance() const { return distance_; }
    Pairs const& pairs() const { return pairs_; }
    double target_decay(index_t step) const requires(!std::same_as<Average, no_average>) { return average_.decay(pairs_, step); }

    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model const& model, Target& target, batch<T, Backend> const& data, random_key key,
                                 arena<Backend>& memory) const {
        static_assert(consistency_map<Model>, "Consistency distillation trains a consistency_model: consistency_model{net, process}.");
        auto const& process = model.process();
        require_teachers(process);
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        consistency_rows<T> const rows =
            upload_consistency_rows(model, target, pairs_, weighting_, data, key, memory, [](marginal const& t, marginal const&, double) {
                return std::array{t.alpha, t.sigma};
            });
        T* const x = memory.template take<T>(n * d);
        view<T, Backend> const state(device, memory.template take<T>(n * d), data.x0.shape());
        if (data.noise.empty())
            for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows.later, data.x0.data(), x, state.data()});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows.later, data.x0.data(), data.noise.data(), x, state.data(), d});
        random_stream const times = key.at(draw::time);
        row_steps(
            *teacher_, solver_, data.labels, options_.guidance,
            [&](index_t row) { return pairs_.sample(process, times, row, static_cast<index_t>(key.step)); }, view<T const, Backend>(state),
            state, memory);
        if (rows.scales) device.for_each_pair(n, d, functor::scale_for_map<T>{rows.older, state.data(), d});
        evaluate_map(target, rows, state, data.labels, memory);
        return {{{device, x, data.x0.shape()}, {device, rows.t, {n}}, {}, data.labels}, state.data(), rows.later};
    }

    void fields(auto&& visit) const {
        visit("teacher", teacher_);
        visit("solver", solver_);
        visit("distance", distance_);
        visit("pairs", pairs_);
        visit("weighting", weighting_);
        visit("average", average_);
        visit("guidance", options_.guidance);
    }

private:
    using process_type = std::remove_cvref_t<decltype(std::declval<Teacher const&>().process())>;

    template <class Process> void require_teachers(Process const& process) const {
        static_assert(std::same_as<Process, process_type>,
                      "Consistency distillation wants student and teacher on one process: bring the teacher there by `matched`.");
        if constexpr (std::equality_comparable<process_type>)
            if (!(process == teacher_->process()))
                raise<domain_error>(name, "the student's process is not the teacher's",
                                    "both must have the same numbers; `matched` brings a teacher to another process");
    }

    teacher_reference<Teacher> teacher_;
    Solver solver_;
    Distance distance_;
    Pairs pairs_;
    Weighting weighting_;
    Average average_;
    consistency_distillation_options options_;
};

}  // namespace onestep
