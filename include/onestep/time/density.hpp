#pragma once
/// Where training looks. A density turns the numbers of a stream into times of a process; row r of a step always sees
/// the same time, whatever the batch around it. To add your own, write `sample`.
#include <cmath>
#include <concepts>

#include "../core/error.hpp"
#include "../core/random.hpp"
#include "../core/spec.hpp"
#include "../process/concept.hpp"

namespace onestep {

template <class D, class Process>
concept time_density = spec<D> && process<Process> && requires(D const& d, Process const& p, random_stream s, index_t row) {
    { d.sample(p, s, row) } -> std::same_as<double>;  // in [t_min, t_max]
};

}  // namespace onestep
