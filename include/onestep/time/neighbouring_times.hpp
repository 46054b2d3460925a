#pragma once
#include "constant_levels.hpp"
#include "grid.hpp"
#include "pair.hpp"
#include "uniform_grid.hpp"

namespace onestep {

/// Neighbours t and s among the N(step) times of any grid, each interval alike; N by a curriculum. neighbouring_levels spreads its times
/// by noise level and leaves out the ends of a process; this takes both in, the last interval ending in the data.
///
///     neighbouring_times{constant_levels{.count = 33}}                    32 equal intervals of t
///     neighbouring_times{constant_levels{.count = 19}, karras_grid{}}     those of an 18-step solver
///
/// Throws what curriculum and grid throw, and domain_error for fewer than 2 levels.
template <curriculum Curriculum = constant_levels, spec Grid = uniform_grid> struct neighbouring_times {
    static constexpr char const* name = "neighbouring_times";
    Curriculum curriculum = {};
    Grid grid = {};

    /// N at a training step.
    index_t levels(index_t step) const { return curriculum.levels(step); }

    template <process P>
    requires onestep::grid<Grid, P> time_pair sample(P const& p, random_stream stream, index_t row, index_t step)
    const {
        index_t const intervals = curriculum.levels(step) - 1;
        if (intervals < 1) raise<domain_error>(name, std::to_string(intervals + 1) + " levels are asked for", "at least 2 are needed");
        int const i = static_cast<int>(below(stream, static_cast<std::uint64_t>(intervals), row)), count = static_cast<int>(intervals);
        return {grid.time(p, p.t_max(), p.t_min(), count, i), grid.time(p, p.t_max(), p.t_min(), count, i + 1)};
    }
    void fields(auto&& visit) const {
        visit("curriculum", curriculum);
        visit("grid", grid);
    }
    friend bool operator==(neighbouring_times const&, neighbouring_times const&) = default;
};

neighbouring_times()->neighbouring_times<>;
template <class Curriculum> neighbouring_times(Curriculum) -> neighbouring_times<Curriculum>;
template <class Curriculum, class Grid> neighbouring_times(Curriculum, Grid) -> neighbouring_times<Curriculum, Grid>;

}  // namespace onestep
