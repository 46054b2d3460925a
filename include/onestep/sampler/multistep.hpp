#pragma once
/// What solvers share that combine the newest prediction with earlier ones.
#include <algorithm>

#include "concept.hpp"
#include "exponential.hpp"

namespace onestep {

/// The predictions that a step interpolates, as fractions of it in half log-SNR: node[0] = 0 is its own, node[k] < 0 that of k
/// steps before. `count` earlier ones are used.
struct multistep_history {
    int count = 0;
    std::array<double, 4> node{};
};

/// The order that a step has, from the `order` wanted and how many steps are left, itself included: `lower` asks for ever lower
/// orders at the end of runs of fewer than 15 steps, which is what such runs to sigma = 0 do best with.
inline int order_at_the_end(int order, int steps, int index, bool lower) {
    return lower && steps < 15 ? std::min(order, steps - index) : order;
}

/// The history of a step that has called `run.keep`, at most `most` predictions.
template <class Run> multistep_history history_of(Run& run, log_snr_step const& step, int most) {
    multistep_history past{std::min(run.remembered(), most), {}};
    for (int k = 1; k <= past.count; ++k)
        past.node[static_cast<std::size_t>(k)] = (run.half_log_snr(run.kept_time(k)) - step.from) / step.h;
    return past;
}

/// x' = x x + weight[0] K + sum of weight[k] kept(k) + d z in one pass, and K = keep_x x + keep_data D to `keep`.
struct multistep_update {
    double x = 0;
    std::array<double, 4> weight{};
    double noise = 0;
    double keep_x = 0, keep_data = 1;

    template <class Run, class Prediction, class Tensor> void run(Run& run, Prediction const& here, Tensor const& keep, int count) const {
        switch (count) {
            case 0:
                return pass<0>(run, here, keep);
            case 1:
                return pass<1>(run, here, keep);
            case 2:
                return pass<2>(run, here, keep);
            default:
                return pass<3>(run, here, keep);
        }
    }

private:
    template <int Count, class Run, class Prediction, class Tensor> void pass(Run& run, Prediction const& here, Tensor const& keep) const {
        data_step<typename Run::value_type, typename Run::backend_type, Count> step{};
        auto& next = step.outputs[0];
        next.out = run.x();
        next.x = x + weight[0] * keep_x;
        next.data = weight[0] * keep_data;
        for (int k = 0; k < Count; ++k) {
            next.extra[static_cast<std::size_t>(k)] = weight[static_cast<std::size_t>(k) + 1];
            step.extra[static_cast<std::size_t>(k)] = run.kept(k + 1);
        }
        step.noise = noise;
        step.stream = run.noise();
        step.keep = keep;
        step.keep_x = keep_x;
        step.keep_data = keep_data;
        run.advance(here, step);
    }
};

}  // namespace onestep
