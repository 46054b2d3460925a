#pragma once
#include "multistep.hpp"

namespace onestep {

/// DPM-Solver++ of second order with the prediction of the step before, on any process, in half log-SNR:
///
///     x_s = (sigma_s / sigma_t) x + alpha_s (1 - exp(-h)) D + alpha_s w D',    D' = (D - D_before) h / h_before
///
/// with w = (1 - exp(-h)) / 2 or h phi_2(-h) (`form`). The first step, and one that starts at alpha = 0 or ends at sigma = 0, is of first
/// order (DDIM's): at the data x_s is D. Towards the noise it inverts; domain_error from sigma = 0 on.
///
/// Cost: `steps` evaluations, 5 tensors of x's shape.  Order: 2 (tests/sampler/dpm_solver_2m.cpp).
/// Source: Lu et al. 2022 (arXiv:2211.01095), algorithm 2.
struct dpm_solver_2m {
    static constexpr char const* name = "dpm_solver_2m";
    static constexpr int order = 2;
    static constexpr bool remembers = true;
    int steps = 20;  ///< intervals of the grid, >= 1
    second_order form = second_order::midpoint;
    bool lower_order_final = true;  ///< the last of fewer than 15 steps is of first order, wherever it ends

    void step(auto& run, double t, double s) const {
        log_snr_step const to = log_snr_step_of(name, run.process(), t, s);
        auto const here = run.predict(run.x(), t);
        if (!to.is_finite()) return run.advance(here, to.left, to.first);
        auto const keep = run.keep(t);
        multistep_history const past = history_of(run, to, order_at_the_end(order, run.steps(), run.index(), lower_order_final) - 1);
        multistep_update next{to.left, {to.first}};
        if (past.count == 1) {
            double const slope = to.alpha_s * slope_weight(form, to.h) / past.node[1];
            next.weight = {to.first - slope, slope};
        }
        next.run(run, here, keep, past.count);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("form", to_string(form));
        visit("lower_order_final", lower_order_final);
    }
    friend bool operator==(dpm_solver_2m const&, dpm_solver_2m const&) = default;
};

}  // namespace onestep
