#pragma once
/// Where objectives of two times look. A pair density turns the numbers of a stream into a later and an earlier time of a process, as
/// a function of the training step too: that is how curricula enter. To add your own, write `sample`.
#include "density.hpp"

namespace onestep {

/// t_min <= s <= t <= t_max.
struct time_pair {
    double t = 0, s = 0;
};

template <class D, class Process>
concept time_pair_density = spec<D> && process<Process> &&
    requires(D const& d, Process const& p, random_stream stream, index_t row, index_t step) {
    { d.sample(p, stream, row, step) } -> std::same_as<time_pair>;
};

}  // namespace onestep
