#pragma once
/// Progressive distillation, halving after halving.
#include <memory>

#include "../objective/progressive_distillation.hpp"
#include "trainer.hpp"

namespace onestep {

/// Numbers of a distillation by halvings.
struct progressive_options {
    static constexpr char const* name = "progressive";
    int from = 64;                   ///< steps with which the given model samples well; > to
    int to = 1;                      ///< steps of the last student, >= 1; `from` is `to` times a power of two
    index_t steps_per_stage = 2000;  ///< of training, >= 1
    index_t last_factor = 1;         ///< how many times as long the stages with 2 and 1 steps are, >= 1; 2 in the source
    double guidance = 1;             ///< of the first teacher; its students have learned it
    bool averaged = false;           ///< a student hands on its averaged weights instead of its own
};

/// From a model that needs many steps to one that needs few: each stage trains a student, which starts from its teacher, to do in one step
/// of ddim what the teacher does in two, and makes it the next teacher.
///
///     onestep::progressive halving{flow, onestep::adam{.rate = 5e-5}, {.from = 64, .to = 1, .steps_per_stage = 2000}, {.clip = 1},
///                                  onestep::linear_rate{}};
///     halving.run(data);
///     auto x = onestep::sample(halving.model(), onestep::ddim{.steps = 1}, z);
///
/// Each stage has an optimizer and a rate schedule of its own; a schedule with a length (linear_rate, cosine_rate) is as long as its
/// stage. Choices after it, by position: distance, weight and grid of progressive_distillation. `stage` does one at a time, for models that
/// are wanted at every number of steps.
///
/// The model that is given is copied and stays as it is; its backend must outlive this. A distillation that was stopped goes on from the
/// last teacher: load its parameters (train/checkpoint.hpp) into model().network() and tell `restore` how many steps it takes; a stage that
/// was stopped is resumed by `prepare`.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), algorithm 2.
template <class Model, class Spec, rate_schedule Rate = constant_rate, distance Distance = squared, weighting Weighting = truncated_snr,
          spec Grid = uniform_grid>
class progressive {
    using network = typename Model::network_type;
    using T = scalar_of<network>;
    using Backend = backend_of<network>;

public:
    using model_type = typename average<Model>::model_type;

    /// Throws domain_error for options outside their range.
    progressive(Model const& teacher, Spec const& optimizer, progressive_options const& options = {}, trainer_options const& training = {},
                Rate const& rate = {}, Distance const& distance = {}, Weighting const& weight = {}, Grid const& grid = {})
        : model_(copy_of(teacher)), optimizer_(optimizer), options_(options), training_(training), rate_(rate), distance_(distance),
          weight_(weight), grid_(grid), steps_(options.from) {
        if (options.to < 1) raise<domain_error>("progressive", "to is " + std::to_string(options.to), "it must be at least 1");
        int halved = options.from;
        while (halved > options.to && halved % 2 == 0) halved /= 2;
        if (halved != options.to || options.from == options.to)
            raise<domain_error>("progressive", "from is " + std::to_string(options.from) + " and to is " + std::to_string(options.to),
                                "halving must lead from one to the other");
        if (options.steps_per_stage < 1 || options.last_factor < 1)
            raise<domain_error>("progressive",
                                "steps_per_stage is " + std::to_string(options.steps_per_stage) + " and last_factor is " +
                                    std::to_string(options.last_factor),
                                "both must be at least 1");
    }

    /// The last student, or what was given, and the steps of ddim with which it samples.
    model_type& model() { return *model_; }
    int steps() const { return steps_; }
    bool done() const { return steps_ <= options_.to; }
    /// For a distillation that is resumed: model() samples with so many steps. Throws domain_error unless halving leads there.
    void restore(int steps) {
        int halved = options_.from;
        while (halved > steps && halved > options_.to) halved /= 2;
        if (halved != steps)
            raise<domain_error>(
                "progressive", "steps is " + std::to_string(steps),
                "it must be one of " + std::to_string(options_.from) + ", half of it and so on to " + std::to_string(options_.to));
        steps_ = steps;
    }

    /// All stages that are left.
    template <class Data> void run(Data const& data) {
        run(data, [](auto&) {});
    }
    template <class Data, class Prepare> void run(Data const& data, Prepare const& prepare) {
        while (!done()) stage(data, prepare);
    }
    /// One halving; does nothing once all are done. `data` is what trainer::run takes. `prepare` is called with the trainer before it runs:
    /// to add callbacks, or to resume it. Throws what training throws; model() stays as it was then.
    template <class Data> void stage(Data const& data) {
        stage(data, [](auto&) {});
    }
    template <class Data, class Prepare> void stage(Data const& data, Prepare const& prepare) {
        if (done()) return;
        int const steps = steps_ / 2;
        index_t const length = options_.steps_per_stage * (steps <= 2 ? options_.last_factor : 1);
        Rate rate = rate_;
        if constexpr (requires { rate.steps = length; }) rate.steps = length;
        model_type const& teacher = *model_;
        std::unique_ptr<model_type> student = copy_of(teacher);
        progressive_distillation const objective(teacher, {.steps = steps, .guidance = steps_ == options_.from ? options_.guidance : 1},
                                                 distance_, weight_, grid_);
        trainer run(*student, objective, optimizer_, training_, rate);
        prepare(run);
        run.run(data, length);
        if (options_.averaged) model_ = copy_of(run.averaged());
        else model_ = std::move(student);
        steps_ = steps;
    }

private:
    template <class Other> static std::unique_ptr<model_type> copy_of(Other const& other) {
        return std::make_unique<model_type>(other.with_network(network(other.network())));
    }

    std::unique_ptr<model_type> model_;  // stable address: objectives and trainers refer to it
    Spec optimizer_;
    progressive_options options_;
    trainer_options training_;
    Rate rate_;
    Distance distance_;
    Weighting weight_;
    Grid grid_;
    int steps_;
};

template <class Model, class Spec> progressive(Model const&, Spec) -> progressive<Model, Spec>;
template <class Model, class Spec> progressive(Model const&, Spec, progressive_options) -> progressive<Model, Spec>;
template <class Model, class Spec> progressive(Model const&, Spec, progressive_options, trainer_options) -> progressive<Model, Spec>;
template <class Model, class Spec, class Rate>
progressive(Model const&, Spec, progressive_options, trainer_options, Rate) -> progressive<Model, Spec, Rate>;
template <class Model, class Spec, class Rate, class Distance, class Weighting = truncated_snr, class Grid = uniform_grid>
progressive(Model const&, Spec, progressive_options, trainer_options, Rate, Distance, Weighting = {}, Grid = {})
    -> progressive<Model, Spec, Rate, Distance, Weighting, Grid>;

}  // namespace onestep
