#pragma once
/// Reflow, round after round.
#include <functional>
#include <memory>

#include "pair_file.hpp"
#include "trainer.hpp"

namespace onestep {

/// Numbers of a round of reflow.
struct reflow_options {
    static constexpr char const* name = "reflow";
    shape data = {2};             ///< extents of one sample
    index_t pairs = 100'000;      ///< made anew in each round, >= 1
    index_t steps = 10'000;       ///< of training in each round, >= 1
    int classes = 0;              ///< of labels, drawn for the pairs with equal probability; 0: none
    index_t pairs_batch = 512;    ///< rows solved at a time
    std::uint64_t seed = 0;       ///< of the noise and labels of the pairs
    std::string pair_files = {};  ///< "pairs": round k streams its pairs to "pairs-k.npy"; empty: they stay in memory
};

/// k-reflow: each round makes pairs by the flow as it is, and trains a student on them that starts from it; the student's averaged
/// weights are the next round's flow.
///
///     onestep::reflow line{first.averaged(), onestep::heun{.steps = 20}, onestep::adam{.rate = 2e-4}, {.data = {28, 28, 1}}};
///     for (int k = 0; k < 2; ++k) {
///         line.round(onestep::flow_matching{});                            // 2-rectified flow, 3-rectified flow
///         report(onestep::straightness(line.model(), z));
///     }
///     line.round(onestep::one_step_distillation{});                        // on new pairs of the straightened flow
///     auto x = onestep::sample(line.model(), onestep::euler{.steps = 1}, z);
///
/// No noise is ever drawn for a stored sample, nothing is mixed into the pairs, and no round sees those of another, so that what is
/// distilled is the map of the flow as it is then. The optimizer starts anew in each round. Straightness is measured between
/// rounds by whoever wants to know (evaluation/straightness.hpp): training knows nothing of evaluation.
///
/// The model that is given is copied and stays as it is; its backend must outlive this. Pairs of round k come from (seed, k), so a round
/// can be repeated: load the parameters that model() had (train/checkpoint.hpp) and tell `restore` how many rounds were done.
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003), algorithm 1.
template <class Model, class Solver, class Spec, rate_schedule Rate = constant_rate, spec Grid = uniform_grid> class reflow {
    using network = typename Model::network_type;
    using T = scalar_of<network>;
    using Backend = backend_of<network>;

public:
    using model_type = typename average<Model>::model_type;

    /// Throws domain_error for options outside their range.
    reflow(Model const& start, Solver const& solver, Spec const& optimizer, reflow_options const& options,
           trainer_options const& training = {}, Rate const& rate = {}, Grid const& grid = {})
        : model_(copy_of(start)), solver_(solver), optimizer_(optimizer), options_(options), training_(training), rate_(rate), grid_(grid) {
        auto const at_least_one = [](char const* what, index_t value) {
            if (value < 1) raise<domain_error>("reflow", std::string(what) + " is " + std::to_string(value), "it must be at least 1");
        };
        at_least_one("pairs", options.pairs);
        at_least_one("steps", options.steps);
        at_least_one("pairs_batch", options.pairs_batch);
        if (options.classes < 0) raise<domain_error>("reflow", "classes is " + std::to_string(options.classes), "it must not be negative");
    }

    /// The flow after the rounds done so far: averaged weights.
    model_type& model() { return *model_; }
    int rounds() const { return rounds_; }
    /// For a line that is resumed: model() is what it was after `rounds` rounds.
    void restore(int rounds) { rounds_ = rounds; }

    /// Makes pairs and trains on them. `prepare` is called with the trainer before it runs: to add callbacks, or to resume it.
    /// Throws what making pairs and training throw; model() stays as it was then.
    template <class Objective> void round(Objective const& objective) {
        round(objective, [](auto&) {});
    }
    template <class Objective, class Prepare> void round(Objective const& objective, Prepare const& prepare) {
        pairs_options const pairs{options_.pairs_batch, random_key{options_.seed, static_cast<std::uint64_t>(rounds_)}.at(draw::noise).key};
        std::unique_ptr<model_type> student = copy_of(*model_);
        trainer run(*student, objective, optimizer_, training_, rate_);
        prepare(run);
        if (options_.pair_files.empty()) run.run(make(pairs), options_.steps);
        else run_on_file(run, options_.pair_files + "-" + std::to_string(rounds_ + 1) + ".npy", pairs);
        model_ = copy_of(run.averaged());
        ++rounds_;
    }

private:
    template <class Other> static std::unique_ptr<model_type> copy_of(Other& other) {
        return std::make_unique<model_type>(other.with_network(network(std::as_const(other.network()))));
    }
    Backend& device() { return model_->network().parameters().backend(); }
    shape extents() const {
        index_t list[shape::max_rank] = {options_.pairs};
        std::copy(options_.data.begin(), options_.data.end(), list + 1);
        return {list, options_.data.rank() + 1};
    }
    tensor<std::int32_t, Backend> labels(std::uint64_t seed) {
        std::vector<std::int32_t> values(static_cast<std::size_t>(options_.pairs));
        random_stream const numbers = random_key{seed}.at(draw::label);
        for (index_t r = 0; r < options_.pairs; ++r)
            values[static_cast<std::size_t>(r)] =
                static_cast<std::int32_t>(below(numbers, static_cast<std::uint64_t>(options_.classes), r));
        return {device(), {options_.pairs}, values};
    }
    static constexpr bool takes_labels = labelled_network<network, T, Backend>;

    dataset<T, Backend> make(pairs_options const& options) {
        tensor<T, Backend> z = normal<T>(device(), extents(), options.seed);
        if constexpr (takes_labels)
            if (options_.classes > 0)
                return reflow_pairs(*model_, solver_, std::move(z), labels(options.seed), options_.classes, options, grid_);
        require_no_labels();
        return reflow_pairs(*model_, solver_, std::move(z), options, grid_);
    }
    template <class Trainer> void run_on_file(Trainer& run, std::string const& path, pairs_options const& options) {
        bool written = false;
        if constexpr (takes_labels)
            if (options_.classes > 0) {
                write_pairs<T>(device(), path, *model_, solver_, extents(), labels(options.seed), options_.classes, options, grid_);
                written = true;
            }
        if (!written) {
            require_no_labels();
            write_pairs<T>(device(), path, *model_, solver_, extents(), options, grid_);
        }
        pair_file<T> const file(path);
        if constexpr (std::same_as<Backend, cpu>) run.run(file.mapped(device()), options_.steps);
        else run.run(file.load(device()), options_.steps);
    }
    void require_no_labels() const {
        if (options_.classes > 0 && !takes_labels)
            raise<domain_error>("reflow", "classes is " + std::to_string(options_.classes), "this network takes no labels: it must be 0");
    }

    std::unique_ptr<model_type> model_;  // stable address: trainers refer to it
    Solver solver_;
    Spec optimizer_;
    reflow_options options_;
    trainer_options training_;
    Rate rate_;
    Grid grid_;
    int rounds_ = 0;
};

template <class Model, class Solver, class Spec> reflow(Model const&, Solver, Spec, reflow_options) -> reflow<Model, Solver, Spec>;
template <class Model, class Solver, class Spec>
reflow(Model const&, Solver, Spec, reflow_options, trainer_options) -> reflow<Model, Solver, Spec>;
template <class Model, class Solver, class Spec, class Rate>
reflow(Model const&, Solver, Spec, reflow_options, trainer_options, Rate) -> reflow<Model, Solver, Spec, Rate>;
template <class Model, class Solver, class Spec, class Rate, class Grid>
reflow(Model const&, Solver, Spec, reflow_options, trainer_options, Rate, Grid) -> reflow<Model, Solver, Spec, Rate, Grid>;

}  // namespace onestep
