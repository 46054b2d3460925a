#pragma once
#include "constant_levels.hpp"
#include "grid.hpp"
#include "karras_grid.hpp"
#include "triple.hpp"

namespace onestep {

/// Times of a grid of N(step) levels: t any but the last, u the next one, s any from u on, each alike.
///
///     trajectory_levels{constant_levels{.count = 19}}                    18 levels of noise and the data
///     trajectory_levels{constant_levels{.count = 33}, uniform_grid{}}    on processes that start at pure noise
///
/// Throws what curriculum and grid throw, and domain_error for fewer than 2 levels.
/// Source: Kim et al. 2023 (arXiv:2310.02279), section 3, with one step of the solver from t to u; 18 levels of Karras's there.
template <curriculum Curriculum = constant_levels, spec Grid = karras_grid> struct trajectory_levels {
    static constexpr char const* name = "trajectory_levels";
    Curriculum curriculum = {};
    Grid grid = {};

    /// N at a training step.
    index_t levels(index_t step) const { return curriculum.levels(step); }

    template <process P>
    requires onestep::grid<Grid, P> time_triple sample(P const& p, random_stream stream, index_t row, index_t step)
    const {
        index_t const intervals = curriculum.levels(step) - 1;
        if (intervals < 1) raise<domain_error>(name, std::to_string(intervals + 1) + " levels are asked for", "at least 2 are needed");
        auto const draw = [&](index_t count, std::uint64_t element) {
            return static_cast<index_t>(below(stream, static_cast<std::uint64_t>(count), row, element));
        };
        index_t const i = draw(intervals, 0), j = i + 1 + draw(intervals - i, 1);
        auto const time = [&](index_t k) { return grid.time(p, p.t_max(), p.t_min(), static_cast<int>(intervals), static_cast<int>(k)); };
        return {time(i), time(i + 1), time(j)};
    }
    void fields(auto&& visit) const {
        visit("curriculum", curriculum);
        visit("grid", grid);
    }
    friend bool operator==(trajectory_levels const&, trajectory_levels const&) = default;
};

trajectory_levels()->trajectory_levels<>;
template <class Curriculum> trajectory_levels(Curriculum) -> trajectory_levels<Curriculum>;
template <class Curriculum, class Grid> trajectory_levels(Curriculum, Grid) -> trajectory_levels<Curriculum, Grid>;

}  // namespace onestep
