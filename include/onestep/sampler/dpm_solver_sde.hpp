#pragma once
#include "multistep.hpp"

namespace onestep {

/// SDE-DPM-Solver++ on any process. Of the reverse SDEs that keep the process's marginals, eta chooses how much noise there is: 0 is
/// the probability-flow ODE (dpm_solver_2m), 1 the reverse SDE itself. In half log-SNR, with H = (1 + eta) h,
///
///     x_s = (sigma_s / sigma_t) exp(-eta h) x + alpha_s (1 - exp(-H)) D + alpha_s w D' + sigma_s sqrt(1 - exp(-2 eta h)) z
///
/// where D' = (D - D_before) h / h_before and w = (1 - exp(-H)) / 2 or H phi_2(-H) (`form`) with `order` 2, and w = 0 with order 1, which
/// at eta = 1 is ancestral sampling. The first step, and one that starts at alpha = 0 or ends at sigma = 0, is of first order: at the data
/// x_s is D, without noise. domain_error towards the noise, unless eta = 0, from sigma = 0 on, and for fields outside their range.
///
/// Cost: `steps` evaluations, 5 tensors of x's shape (2 with order 1).  Order: `order`, with noise in distribution, measured on Gaussian
/// data (tests/sampler/dpm_solver_sde.cpp). There is no third order: a parabola through predictions that carry noise has order 2 again.
/// Source: Lu et al. 2022 (arXiv:2211.01095), SDE-DPM-Solver++, for eta = 1.
struct dpm_solver_sde {
    static constexpr char const* name = "dpm_solver_sde";
    static constexpr bool remembers = true;
    int steps = 25;      ///< intervals of the grid, >= 1
    int order = 2;       ///< 1 or 2
    double eta = 1;      ///< >= 0
    double s_noise = 1;  ///< factor on the noise; a little above 1 makes up for what a network smooths away
    second_order form = second_order::midpoint;
    bool lower_order_final = true;  ///< the last of fewer than 15 steps is of first order, wherever it ends

    void step(auto& run, double t, double s) const {
        if (order != 1 && order != 2) raise<domain_error>(name, "order is " + std::to_string(order), "it must be 1 or 2");
        if (!(eta >= 0)) raise<domain_error>(name, "eta is " + to_string(eta), "it must be at least 0");
        log_snr_step const to = log_snr_step_of(name, run.process(), t, s);
        if (eta != 0 && s > t)
            raise<domain_error>(name, "a step goes from t = " + to_string(t) + " to " + to_string(s) + " with eta = " + to_string(eta),
                                "only eta = 0 goes towards the noise");
        auto const here = run.predict(run.x(), t);
        // eta = 0 stands alone, since h may be infinite
        double const fade = eta == 0 ? 1 : std::exp(-eta * to.h), reach = (1 + eta) * to.h;
        double const left = to.left * fade, first = eta == 0 ? to.first : -to.alpha_s * std::expm1(-reach);
        double const noise = eta == 0 ? 0 : s_noise * to.sigma_s * std::sqrt(-std::expm1(-2 * eta * to.h));
        if (order == 1 || !to.is_finite()) return run.advance(here, left, first, noise);
        auto const keep = run.keep(t);
        multistep_history const past = history_of(run, to, order_at_the_end(order, run.steps(), run.index(), lower_order_final) - 1);
        multistep_update next{left, {first}, noise};
        if (past.count == 1) {
            double const slope = to.alpha_s * slope_weight(form, reach) / past.node[1];
            next.weight = {first - slope, slope};
        }
        next.run(run, here, keep, past.count);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("order", order);
        visit("eta", eta);
        visit("s_noise", s_noise);
        visit("form", to_string(form));
        visit("lower_order_final", lower_order_final);
    }
    friend bool operator==(dpm_solver_sde const&, dpm_solver_sde const&) = default;
};

}  // namespace onestep
