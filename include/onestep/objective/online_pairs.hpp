#pragma once
#include <vector>

#include "../backend/random_fill.hpp"
#include "../sampler/sample.hpp"
#include "concept.hpp"
#include "teacher.hpp"

namespace onestep {

namespace pairs_rule {

/// The batch that a flow makes of unit noise: the batch's own, or new noise from (key, noise). Labels stay with their rows and are given
/// to the flow. Only the shape of data.x0 counts.
template <denoiser Model, class Solver, class T, class Backend>
batch<T, Backend> made_by(char const* name, Model const& flow, Solver const& solver, std::vector<double> const& times,
                          batch<T, Backend> const& data, random_key key, arena<Backend>& memory) {
    if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
    Backend& device = data.x0.backend();
    auto const like_x0 = [&] { return view<T, Backend>(device, memory.template take<T>(data.x0.size()), data.x0.shape()); };
    view<T const, Backend> noise = data.noise;
    if (noise.empty()) {
        view<T, Backend> const drawn = like_x0();
        fill_normal(drawn, key.at(draw::noise));
        noise = drawn;
    }
    view<T, Backend> const x = like_x0();
    place_noise(flow.process(), times.front(), noise, x);
    // Solvers number their own steps: the training step goes into the seed.
    random_key const solving{key.at(draw::solver).key, 0, key.first_sample};
    if (data.labels.data() == nullptr) solve(flow, solver, times, x, solving);
    else if constexpr (labelled_network<std::remove_reference_t<decltype(flow.network())>, T, Backend>)
        solve(flow.given(data.labels, labels_are_checked{}), solver, times, x, solving);
    else raise<shape_error>(name, "the batch has labels", "the teacher's network takes none: it has no operator()(x, t, labels, y)");
    return {x, noise, data.labels};
}

}  // namespace pairs_rule

/// Any objective on pairs that a teacher makes while training goes on: for each batch new noise is drawn, the teacher's flow carries it to
/// samples, and the objective builds on them. Nothing is stored, and no pair is seen twice.
///
///     onestep::online_pairs{teacher, onestep::euler{.steps = 20}, onestep::flow_matching{}}            // online reflow
///     onestep::online_pairs{teacher, onestep::euler{.steps = 20}, onestep::one_step_distillation{}}    // online distillation
///
/// Of a batch its number of rows, its labels (given to the teacher too) and its noise, where it has some, are used; samples are not. 20
/// steps of Euler are published. A run of many epochs costs less on stored pairs (train/reflow_pairs.hpp, train/pair_file.hpp).
///
/// The teacher is referred to and must outlive it; it may have another process and target than the student. Noise comes from (key, noise),
/// what a stochastic solver draws from (key, solver). The constructor throws what the grid throws; `build` what the objective throws,
/// shape_error for noise not shaped like x0 and for labels that the teacher's network does not take.
/// Cost: besides the objective's, the solver's evaluations of the teacher and 2 tensors of x0's shape.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), and its code.
template <denoiser Teacher, class Solver, spec Objective, spec Grid = uniform_grid> class online_pairs {
public:
    static constexpr char const* name = "online_pairs";
    static constexpr bool learns_weight = onestep::learns_weight<Objective>();

    online_pairs(Teacher const& teacher, Solver const& solver, Objective const& objective, Grid const& grid = {})
        : teacher_(teacher), solver_(solver), objective_(objective), grid_(grid), times_(times_of(grid, teacher.process(), solver.steps)) {}
    online_pairs(Teacher const&&, Solver const&, Objective const&, Grid const& = {}) = delete;

    decltype(auto) distance() const { return objective_.distance(); }
    double target_decay(index_t step) const requires has_target_decay<Objective> { return objective_.target_decay(step); }

    template <class Model, class T, class Backend>
    requires builds<Objective, Model, T, Backend> regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key,
                                                                               arena<Backend>& memory)
    const { return objective_.build(model, pairs_rule::made_by(name, *teacher_, solver_, times_, data, key, memory), key, memory); }
    template <class Model, class Target, class T, class Backend>
    requires builds_with_target<Objective, Model, Target, T, Backend> regression<T, Backend> build(Model& model, Target& target,
                                                                                                   batch<T, Backend> const& data,
                                                                                                   random_key key, arena<Backend>& memory)
    const { return objective_.build(model, target, pairs_rule::made_by(name, *teacher_, solver_, times_, data, key, memory), key, memory); }

    void fields(auto&& visit) const {
        visit("teacher", teacher_);
        visit("solver", solver_);
        visit("objective", objective_);
        visit("grid", grid_);
    }

private:
    teacher_reference<Teacher> teacher_;
    Solver solver_;
    Objective objective_;
    Grid grid_;
    std::vector<double> times_;
};

}  // namespace onestep
