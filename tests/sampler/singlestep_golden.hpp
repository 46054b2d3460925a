#pragma once
/// Single-step DPM-Solver of diffusers walks a grid of times in groups: each is one step of ours, with its inner times where the
/// grid has them.
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/dpm_solver_2s.hpp>
#include <onestep/sampler/dpm_solver_3s.hpp>

#include "golden.hpp"

namespace onestep::test::golden {

template <class T> void check_groups(recording const& run) {
    std::string const of = run.text();
    CAPTURE(of);
    cpu device(1);
    path const process = run.process();
    std::vector<double> times;
    for (double level : run.level) times.push_back(process.time_of(level));
    times.push_back(process.time_of(run.end));
    std::size_t groups = times.size() - 1;
    if (std::fabs(times[groups] - times[groups - 1]) <= 1e-12 * times[groups]) --groups;  // a last step of no length
    auto const form = run.config.text("solver_type") == "heun" ? second_order::heun : second_order::midpoint;
    tensor<T, cpu> x = detail::state<T>(device, run.start);
    for (std::size_t i = 0, size = 1; i < groups; i += size) {
        CAPTURE(i);
        size = 1;
        while (i + size < groups && run.orders[i + size] > 1) ++size;
        std::vector<double> const step{times[i], times[i + size]};
        auto const part = [&](std::size_t k) {
            return (process.log_snr(times[i + k]) - process.log_snr(times[i])) / (process.log_snr(step[1]) - process.log_snr(step[0]));
        };
        if (size == 1) solve(run.model(), ddim{}, step, x.view());
        if (size == 2) solve(run.model(), dpm_solver_2s{.ratio = part(1), .form = form}, step, x.view());
        if (size == 3) solve(run.model(), dpm_solver_3s{.first = part(1), .second = part(2), .form = form}, step, x.view());
        CHECK(detail::difference(x.data(), run.x[i + size - 1]) <= detail::tolerance<T>(run));
    }
}

}  // namespace onestep::test::golden
