#pragma once
/// Where objectives look that compare two ways to one time: from t directly, and from u, which lies between. A triple density turns the
/// numbers of a stream into three times of a process, as a function of the training step too. To add your own, write `sample`.
#include "pair.hpp"

namespace onestep {

/// t_min <= s <= u <= t <= t_max.
struct time_triple {
    double t = 0, u = 0, s = 0;
};

template <class D, class Process>
concept time_triple_density = spec<D> && process<Process> &&
    requires(D const& d, Process const& p, random_stream stream, index_t row, index_t step) {
    { d.sample(p, stream, row, step) } -> std::same_as<time_triple>;
};

}  // namespace onestep
