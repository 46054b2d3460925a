#pragma once
/// Where a solver stops. A grid makes steps + 1 falling times from a process's noise end to its data end. To add your own,
/// write `time`: one time of the list.
#include <cmath>
#include <concepts>
#include <vector>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "../process/concept.hpp"

namespace onestep {

/// Time i of 0 .. steps on a process that is to run from `from` (t_max, noise) to `to` (t_min, data). A grid may start
/// below `from`; all of this folder end at `to`, those of discrete processes at a level of theirs.
template <class G, class Process>
concept grid = spec<G> && process<Process> && requires(G const& g, Process const& p, double from, double to, int steps, int i) {
    { g.time(p, from, to, steps, i) } -> std::same_as<double>;
};

/// Throws domain_error unless the times move strictly in one direction and there are at least two.
inline void require_monotone(std::vector<double> const& times) {
    if (times.size() < 2) raise<domain_error>("grid", std::to_string(times.size()) + " times were given", "a grid has at least two");
    bool const falls = times[1] < times[0];
    for (std::size_t i = 1; i < times.size(); ++i) {
        double const before = times[i - 1], after = times[i];
        if (!(falls ? after < before : after > before))
            raise<domain_error>("grid", "time " + std::to_string(i) + " is " + to_string(after) + " after " + to_string(before),
                                "times must move strictly in one direction");
    }
}

/// The steps + 1 times of a grid on a process, from noise to data. Throws domain_error if steps < 1, if two times
/// coincide, and what the grid throws.
template <class G, process P>
requires grid<G, P> std::vector<double> times_of(G const& g, P const& p, int steps) {
    if (steps < 1) raise<domain_error>(G::name, "steps is " + std::to_string(steps), "at least 1 is needed");
    std::vector<double> times(static_cast<std::size_t>(steps) + 1);
    for (int i = 0; i <= steps; ++i) times[static_cast<std::size_t>(i)] = g.time(p, p.t_max(), p.t_min(), steps, i);
    require_monotone(times);
    return times;
}

}  // namespace onestep
