#pragma once
#include "constant_levels.hpp"
#include "karras_grid.hpp"
#include "level_choice.hpp"
#include "pair.hpp"

namespace onestep {

/// The levels of a karras_grid in rising order, without the process's end beyond them:
///
///     se_i = (sigma_min^(1/rho) + i / (N - 1) (sigma_max^(1/rho) - sigma_min^(1/rho)))^rho,    i = 0 .. N - 1
class rising_levels {
public:
    /// Throws what karras_grid throws.
    template <process P>
    rising_levels(karras_grid const& grid, P const& p, index_t count)
        : ladder_(noise_ladder::of(karras_grid::name, p, p.t_max(), p.t_min(), 2, grid.sigma_max, grid.sigma_min)), rho_(grid.rho),
          count_(count) {
        if (!(rho_ > 0 && rho_ < HUGE_VAL)) raise<domain_error>(karras_grid::name, "rho is " + to_string(rho_), "it must be > 0");
        low_ = std::pow(ladder_.last, 1 / rho_);
        high_ = std::pow(ladder_.first, 1 / rho_);
    }
    index_t count() const { return count_; }
    double operator()(index_t i) const {
        if (i == 0) return ladder_.last;
        if (i == count_ - 1) return ladder_.first;
        return std::pow(low_ + (high_ - low_) * static_cast<double>(i) / static_cast<double>(count_ - 1), rho_);
    }
    /// The i with level i <= level < level i + 1, to rounding; of levels beyond, the outermost.
    index_t interval_of(double level) const {
        double const place = (std::pow(level, 1 / rho_) - low_) / (high_ - low_) * static_cast<double>(count_ - 1);
        return static_cast<index_t>(std::fmin(std::fmax(place, 0), static_cast<double>(count_ - 2)));
    }
    template <process P> double time(P const& p, index_t i) const {
        if (i == count_ - 1 && ladder_.starts_with_process) return p.t_max();
        return std::fmin(std::fmax(time_of_noise_to_signal(p, (*this)(i)), p.t_min()), p.t_max());
    }

private:
    noise_ladder ladder_;
    double rho_, low_, high_;
    index_t count_;
};

/// Neighbours t = t_{i+1} and s = t_i among N(step) noise levels, the pairs of discrete consistency models: N by a curriculum, the
/// interval i by a choice, the levels by a karras_grid.
///
///     neighbouring_levels{constant_levels{.count = 18}}                                      distillation, as first published
///     neighbouring_levels{doubling{.steps = 100'000}, log_normal_level{}}                    improved consistency training
///     neighbouring_levels{doubling{}, log_normal_level{}, karras_grid{.sigma_max = 80}}      on a process that starts at pure noise
///
/// Works on any process. The lowest level is the grid's sigma_min (0: the process's field, else 0.002) and not the process's end.
/// Throws what the curriculum, the choice and karras_grid throw. Cost a row: four powers and what the choice takes.
/// Source: Song et al. 2023 (arXiv:2303.01469), algorithms 2 and 3.
template <curriculum Curriculum = constant_levels, level_choice<rising_levels> Choice = uniform_level> struct neighbouring_levels {
    static constexpr char const* name = "neighbouring_levels";
    Curriculum curriculum = {};
    Choice choice = {};
    karras_grid grid = {};

    /// N at a training step.
    index_t levels(index_t step) const { return curriculum.levels(step); }

    template <process P> time_pair sample(P const& p, random_stream stream, index_t row, index_t step) const {
        rising_levels const all(grid, p, curriculum.levels(step));
        index_t const i = choice.choose(all, stream, row);
        return {all.time(p, i + 1), all.time(p, i)};
    }
    void fields(auto&& visit) const {
        visit("curriculum", curriculum);
        visit("choice", choice);
        visit("grid", grid);
    }
    friend bool operator==(neighbouring_levels const&, neighbouring_levels const&) = default;
};

neighbouring_levels()->neighbouring_levels<>;
template <class Curriculum> neighbouring_levels(Curriculum) -> neighbouring_levels<Curriculum>;
template <class Curriculum, class Choice> neighbouring_levels(Curriculum, Choice) -> neighbouring_levels<Curriculum, Choice>;
template <class Curriculum, class Choice> neighbouring_levels(Curriculum, Choice, karras_grid) -> neighbouring_levels<Curriculum, Choice>;

}  // namespace onestep
