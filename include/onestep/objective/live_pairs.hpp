#pragma once
#include "online_pairs.hpp"

namespace onestep {

/// Numbers of live_pairs.
struct live_average {
    static constexpr char const* name = "live_average";
    double decay = 0.999;  ///< of the average that makes the pairs, in [0, 1); 0: the weights as they are

    void fields(auto&& visit) const { visit("decay", decay); }
    friend bool operator==(live_average const&, live_average const&) = default;
};

/// online_pairs without a teacher: the student's own average makes the pairs that it is trained on (live reflow).
///
///     onestep::live_pairs{onestep::euler{.steps = 8}, onestep::flow_matching{}}
///
/// Alone it has nothing that ties it to the data: start from a trained flow, or mix it with flow matching on data. The student must be a
/// denoiser. The constructor throws domain_error unless 0 <= decay < 1; `build` throws what the grid and the objective throw, shape_error
/// for noise not shaped like x0 and for labels that the network does not take.
/// Cost: as online_pairs. Source: the baseline of that name in the code of Frans et al. 2024 (arXiv:2410.12557); 8 steps of Euler there.
template <class Solver, spec Objective, spec Grid = uniform_grid> class live_pairs {
public:
    static constexpr char const* name = "live_pairs";
    static constexpr bool learns_weight = onestep::learns_weight<Objective>();
    static_assert(!has_target_decay<Objective>,
                  "This objective moves an average of its own for its targets: make its pairs by `online_pairs` or before training.");

    live_pairs(Solver const& solver, Objective const& objective, live_average const& average = {}, Grid const& grid = {})
        : solver_(solver), objective_(objective), average_(average), grid_(grid) {
        if (!(average.decay >= 0 && average.decay < 1))
            raise<domain_error>(name, "decay is " + to_string(average.decay), "it must be in [0, 1)");
    }

    decltype(auto) distance() const { return objective_.distance(); }
    double target_decay(index_t) const { return average_.decay; }

    template <class Model, denoiser Target, class T, class Backend>
    requires builds<Objective, Model, T, Backend> regression<T, Backend> build(Model& model, Target& target, batch<T, Backend> const& data,
                                                                               random_key key, arena<Backend>& memory)
    const {
        auto const& process = target.process();
        static_assert(onestep::grid<Grid, std::remove_cvref_t<decltype(process)>>,
                      "This grid has no times for the model's process: see time/grid.hpp.");
        thread_local std::vector<double> times;  // each thread keeps one, so that a warm step allocates nothing
        times.clear();
        for (int i = 0; i <= solver_.steps; ++i) times.push_back(grid_.time(process, process.t_max(), process.t_min(), solver_.steps, i));
        require_monotone(times);
        return objective_.build(model, pairs_rule::made_by(name, target, solver_, times, data, key, memory), key, memory);
    }

    void fields(auto&& visit) const {
        visit("solver", solver_);
        visit("objective", objective_);
        visit("decay", average_.decay);
        visit("grid", grid_);
    }

private:
    Solver solver_;
    Objective objective_;
    live_average average_;
    Grid grid_;
};

}  // namespace onestep
