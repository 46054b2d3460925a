#pragma once
/// Runs an objective over data until a model is trained.
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../io/progress.hpp"
#include "../objective/accumulate.hpp"
#include "batches.hpp"
#include "communicator.hpp"
#include "optimizer.hpp"
#include "rate.hpp"

namespace onestep {

/// Numbers of a trainer.
struct trainer_options {
    index_t batch = 128;        ///< samples a step, >= 1
    double ema = 0.999;         ///< decay of the averaged model, in [0, 1)
    double clip = 0;            ///< largest norm of the gradient; 0: no clipping
    std::uint64_t seed = 0;     ///< of batches, times and noise
    std::string progress = {};  ///< label of a progress line on stderr; empty: none

    void fields(auto&& visit) const {
        visit("batch", batch);
        visit("ema", ema);
        visit("clip", clip);
        visit("seed", static_cast<unsigned long long>(seed));
    }
    static constexpr char const* name = "trainer_options";
};

/// What a callback is told after a step.
struct training_report {
    index_t step = 0;          ///< steps done, counted from 1
    index_t steps = 0;         ///< where this run ends
    loss_value loss = {};      ///< of this step's batch
    double smoothed = 0;       ///< mean of the weighted loss, with weight 0.98 a step on the past
    double gradient_norm = 0;  ///< before clipping; 0 where no clipping is asked for
    double rate_factor = 1;    ///< of the learning-rate schedule
    double seconds = 0;        ///< since run began
};

/// A model, an objective, an optimizer and an average at work.
///
///     onestep::trainer first{flow, onestep::flow_matching{}, onestep::adam{.rate = 2e-4}, {.batch = 128, .ema = 0.999}};
///     first.run(digits, 40'000);
///     auto x = onestep::sample(first.averaged(), onestep::heun{.steps = 20}, z);
///
/// The model is trained in place: it is kept by reference and must outlive the trainer, and so must the data during
/// `run`. It also keeps what the objective asks for: an average that its targets come from, a learned weight. Step k draws batch, times and
/// noise from (seed, k) alone, so a run that was stopped and resumed (train/checkpoint.hpp) ends with the same bits. A warm step allocates
/// nothing. With a communicator (train/communicator.hpp) several processes train one model, each with its share of every batch.
template <class Model, class Objective, class Spec, rate_schedule Rate = constant_rate, class Group = single_process> class trainer {
public:
    using model_type = Model;
    using network_type = typename Model::network_type;
    using average_type = onestep::average<Model>;
    static_assert(
        [] {
            if constexpr (asks_two_times<Model>() && has_parameters<network_type>)
                return takes_two_times<network_type, scalar_of<network_type>, backend_of<network_type>>;
            else return true;
        }(),
        "A flow map needs a network with two times: net(x, t, s, y), s [n] being the time to arrive at.");
    static_assert(trains<Model>(),
                  "This objective trains: the network also needs forward(x, t, y), backward(dy), parameters() and gradients().");
    using value_type = scalar_of<network_type>;
    using backend_type = backend_of<network_type>;
    static_assert(communicator<Group, value_type, backend_type> && communicator<Group, double, backend_type>,
                  "A group of processes has rank(), size(), average(view) and broadcast(view, root): see train/communicator.hpp.");
    static constexpr bool alone = std::is_same_v<Group, single_process>;
    static constexpr bool has_target = has_target_decay<Objective>, has_weight = learns_weight<Objective>();

    /// Throws domain_error for options, a spec or a schedule outside their range.
    trainer(Model& model, Objective const& objective, Spec const& spec, trainer_options const& options = {},
            Rate const& rate = {}) requires alone : trainer(model, objective, spec, options, rate, nobody_else) {}
    /// One of several processes that make the same trainer; all begin with the parameters of the first. Throws domain_error too where the
    /// batch is not a multiple of their number.
    trainer(Model& model, Objective const& objective, Spec const& spec, trainer_options const& options, Rate const& rate, Group& group)
        : group_(&group), model_(&alike(model, group)), objective_(objective), options_(options), rate_(rate),
          optimizer_(spec, model.network()), average_(options.ema, model), said_(model.network().parameters().backend(), {2}) {
        if (options.batch < 1) raise<domain_error>("trainer", "batch is " + std::to_string(options.batch), "it must be at least 1");
        share_ = share_of(group, options.batch);
        static_cast<void>(rate.factor(0));
        if (!(options.clip >= 0)) raise<domain_error>("trainer", "clip is " + to_string(options.clip), "it must not be negative");
        if constexpr (has_target) target_.emplace(average_options{.decay = 0, .ramp = false}, model);
        if constexpr (has_weight) weight_.emplace(model.network().parameters().backend(), spec);
    }
    trainer(trainer const&) = delete;
    trainer& operator=(trainer const&) = delete;

    Model& model() { return *model_; }
    /// The averaged model: use this one for samples. It can itself be trained on.
    typename average_type::model_type& averaged() { return average_.model(); }
    Objective const& objective() const { return objective_; }
    /// The average that targets come from, for objectives that move one (target_decay).
    average_type& target() requires has_target { return *target_; }
    /// The learned weight of the loss, for objectives that have one (learned_weighting), and its optimizer.
    auto& weight() requires has_weight { return weight_->head; }
    auto& weight_optimizer() requires has_weight { return weight_->optimizer; }
    trainer_options const& options() const { return options_; }
    Rate const& rate() const { return rate_; }
    auto& optimizer() { return optimizer_; }
    auto& average() { return average_; }
    index_t step() const { return step_; }
    /// For a run that is resumed: the next step is number `steps`, counted from 0.
    void restore(index_t steps) { step_ = steps; }

    /// Called after each step with a training_report. May call stop().
    void on_step(std::function<void(training_report const&)> callback) { callbacks_.push_back({1, std::move(callback)}); }
    /// Called after every `steps`-th step.
    void every(index_t steps, std::function<void(training_report const&)> callback) {
        if (steps < 1) raise<domain_error>("trainer", "every is " + std::to_string(steps), "it must be at least 1");
        callbacks_.push_back({steps, std::move(callback)});
    }
    /// Ends `run` after the present step, on all processes.
    void stop() { stopped_ = true; }
    /// The processes that train together.
    Group& group() { return *group_; }

    /// Trains until `steps` steps are done in all, those before a resume included. Returns whether it got there: false
    /// after stop(). Throws not_finite_error if a loss is NaN or infinite, before the parameters are touched by it.
    bool run(tensor<value_type, backend_type> const& x0, index_t steps) { return run(batch<value_type, backend_type>{x0.view()}, steps); }
    bool run(dataset<value_type, backend_type> const& data, index_t steps) { return run(data.all(), steps); }
    bool run(batch<value_type, backend_type> const& data, index_t steps) {
        batch_source<value_type, backend_type> source(data, options_.batch, options_.seed, share_);
        std::optional<progress> line;
        if (!options_.progress.empty() && step_ < steps && group_->rank() == 0)
            line.emplace(options_.progress, static_cast<std::uint64_t>(steps)), line->start_at(static_cast<std::uint64_t>(step_));
        auto const began = std::chrono::steady_clock::now();
        stopped_ = false;
        while (step_ < steps && !stopped_) {
            training_report report = one_step(source.at(step_));
            report.steps = steps;
            report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            if (line) line->update(static_cast<std::uint64_t>(step_), report.loss.weighted);
            for (auto const& [period, call] : callbacks_)
                if (step_ % period == 0) call(report);
            if constexpr (!alone) stopped_ = agreed({stopped_ ? 1.0 : 0.0, 0}).weighted > 0;
        }
        if (line) line->finish();
        return step_ >= steps;
    }

private:
    training_report one_step(batch<value_type, backend_type> const& data) {
        training_report report;
        report.loss = loss_of(data, random_key{options_.seed, static_cast<std::uint64_t>(step_)}.from_row(share_.first));
        if constexpr (!alone) {
            report.loss = agreed(report.loss);
            group_->average(model_->network().gradients());
            if constexpr (has_weight) group_->average(weight_->head.gradients());
        }
        if (!std::isfinite(report.loss.weighted)) {
            optimizer_.discard();
            if constexpr (has_weight) weight_->optimizer.discard();
            raise<not_finite_error>("trainer", "the loss of step " + std::to_string(step_) + " is " + to_string(report.loss.weighted),
                                    "parameters were left as they are; a lower rate or clipping helps");
        }
        if (options_.clip > 0) report.gradient_norm = optimizer_.clip(options_.clip);
        report.rate_factor = rate_.factor(step_);
        optimizer_.step(report.rate_factor, average_);
        if constexpr (has_weight) weight_->optimizer.step(report.rate_factor);
        if constexpr (has_target) target_->update(objective_.target_decay(step_));
        report.step = ++step_;
        smooth_ += (1 - 0.98) * (report.loss.weighted - smooth_);
        report.smoothed = smooth_ / (1 - (smooth_rest_ *= 0.98));
        return report;
    }

    static Model& alike(Model& model, Group& group) {
        group.broadcast(model.network().parameters(), 0);
        return model;
    }
    /// The mean of two numbers over all processes.
    loss_value agreed(loss_value const& mine) {
        backend_type& device = said_.backend();
        double pair[2] = {mine.weighted, mine.plain};
        device.upload(pair, 2, said_.data());
        group_->average(said_.view());
        device.download(said_.data(), 2, pair);
        return {pair[0], pair[1]};
    }

    loss_value loss_of(batch<value_type, backend_type> const& data, random_key key) {
        learned_weight<value_type, backend_type>* weight = nullptr;
        if constexpr (has_weight) weight = &weight_->head;
        if constexpr (has_target) {
            auto& older = target_->model();
            return accumulate(objective_, *model_, data, key,
                              accumulate_with<std::remove_reference_t<decltype(older)>, value_type, backend_type>{older, weight});
        } else {
            return accumulate(objective_, *model_, data, key, accumulate_with<Model, value_type, backend_type>{*model_, weight});
        }
    }

    /// A learned weight and what trains it.
    struct trained_weight {
        learned_weight<value_type, backend_type> head;
        onestep::optimizer<Spec, learned_weight<value_type, backend_type>> optimizer;
        trained_weight(backend_type& device, Spec const& spec) : head(device), optimizer(spec, head) {}
    };
    struct nothing {};
    struct periodic {
        index_t period;
        std::function<void(training_report const&)> call;
    };

    static inline single_process nobody_else;

    Group* group_;
    Model* model_;
    batch_share share_;
    Objective objective_;
    trainer_options options_;
    Rate rate_;
    onestep::optimizer<Spec, network_type> optimizer_;
    average_type average_;
    tensor<double, backend_type> said_;  // what processes tell each other
    [[no_unique_address]] std::conditional_t<has_target, std::optional<average_type>, nothing> target_;
    [[no_unique_address]] std::conditional_t<has_weight, std::optional<trained_weight>, std::optional<nothing>> weight_;
    std::vector<periodic> callbacks_;
    index_t step_ = 0;
    double smooth_ = 0, smooth_rest_ = 1;
    bool stopped_ = false;
};

template <class Model, class Objective, class Spec> trainer(Model&, Objective, Spec) -> trainer<Model, Objective, Spec>;
template <class Model, class Objective, class Spec> trainer(Model&, Objective, Spec, trainer_options) -> trainer<Model, Objective, Spec>;
template <class Model, class Objective, class Spec, class Rate>
trainer(Model&, Objective, Spec, trainer_options, Rate) -> trainer<Model, Objective, Spec, Rate>;
template <class Model, class Objective, class Spec, class Rate, class Group>
trainer(Model&, Objective, Spec, trainer_options, Rate, Group&) -> trainer<Model, Objective, Spec, Rate, Group>;

}  // namespace onestep
