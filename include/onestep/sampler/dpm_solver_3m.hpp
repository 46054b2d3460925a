#pragma once
#include "multistep.hpp"

namespace onestep {

/// DPM-Solver++ of third order with the predictions of two steps before, on any process: D is taken for the parabola in half
/// log-SNR through the three, and integrated exactly,
///
///     x_s = (sigma_s / sigma_t) x + alpha_s h (phi_1(-h) D + phi_2(-h) D' + phi_3(-h) D'')
///
/// with D', D'' its derivatives at the start of the step, in units of h. The published formula and its implementations have D'' / 2 in
/// place of D'', which makes the method one of second order; `published` does the same, to repeat images made with them.
///
/// On many steps this is the better one by far. On about 25, the published form, which trusts the parabola half, often ends nearer to the
/// exact flow; and where a step is several times as long as the one before, both go astray, and dpm_solver_2m or unipc are safer.
///
/// The first step is of first order and the second of second order (`form`), as in dpm_solver_2m; likewise a step from alpha = 0
/// or to sigma = 0 is of first order, and at the data x_s is D. Towards the noise it inverts; domain_error from sigma = 0 on.
///
/// Cost: `steps` evaluations, 5 tensors of x's shape.  Order: 3 where the first steps are short or lie in the noise, where D hardly
/// changes (tests/sampler/dpm_solver_3m.cpp); 2 with `published`.
/// Source: Lu et al. 2022 (arXiv:2211.01095), proposition 4.1, expanded to its third term; the published form is that of their code.
struct dpm_solver_3m {
    static constexpr char const* name = "dpm_solver_3m";
    static constexpr int order = 3;
    static constexpr bool remembers = true;
    int steps = 20;                          ///< intervals of the grid, >= 1
    bool published = false;                  ///< half the second derivative
    second_order form = second_order::heun;  ///< of its steps of second order; implementations differ
    bool lower_order_final = true;           ///< the last two of fewer than 15 steps are of first and at most second order

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
        } else if (past.count == 2) {
            // D(theta) = D + theta [0, a] + theta (theta - a) [0, a, b] in divided differences, so D' = [0, a] - a [0, a, b]
            double const a = past.node[1], b = past.node[2], scale = to.alpha_s * to.h, slope = scale * phi(2, -to.h);
            double const bend = scale * (published ? 1 : 2) * phi(3, -to.h) - a * slope;
            next.weight = {to.first - slope / a + bend / (a * b), slope / a - bend / (a * (b - a)), bend / (b * (b - a))};
        }
        next.run(run, here, keep, past.count);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("published", published);
        visit("form", to_string(form));
        visit("lower_order_final", lower_order_final);
    }
    friend bool operator==(dpm_solver_3m const&, dpm_solver_3m const&) = default;
};

}  // namespace onestep
