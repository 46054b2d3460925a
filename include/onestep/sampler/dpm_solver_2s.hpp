#pragma once
#include "concept.hpp"
#include "exponential.hpp"

namespace onestep {

/// DPM-Solver++ of second order with an evaluation inside the step, at the fraction r of it in half log-SNR (`ratio`), on any process:
///
///     y = x at lambda_t + r h by a step of first order                D' = (D(y) - D(x)) / r
///     x_s = (sigma_s / sigma_t) x + alpha_s (1 - exp(-h)) D(x) + alpha_s w D'
///
/// with w = (1 - exp(-h)) / 2 or h phi_2(-h) (`form`); midpoint with r = 1/2 uses D(y) alone. A step that starts at alpha = 0 or
/// ends at sigma = 0 is of first order, with one evaluation: at the data x_s is D. Towards the noise it inverts; domain_error from sigma =
/// 0 on, and for a ratio outside its range.
///
/// Cost: 2 evaluations a step (1 in the last one to sigma = 0), 3 tensors of x's shape.  Order: 2 for every r
/// (tests/sampler/dpm_solver_2s.cpp).
/// Source: Lu et al. 2022 (arXiv:2211.01095), algorithm 1.
struct dpm_solver_2s {
    static constexpr char const* name = "dpm_solver_2s";
    static constexpr int order = 2;
    int steps = 10;      ///< intervals of the grid, >= 1
    double ratio = 0.5;  ///< in (0, 1]
    second_order form = second_order::midpoint;

    void step(auto& run, double t, double s) const {
        if (!(ratio > 0 && ratio <= 1)) raise<domain_error>(name, "ratio is " + to_string(ratio), "it must be in (0, 1]");
        auto const& p = run.process();
        log_snr_step const to = log_snr_step_of(name, p, t, s);
        auto const x = run.x();
        auto const here = run.predict(x, t);
        if (!to.is_finite()) return run.advance(here, to.left, to.first);
        double const middle = ratio == 1 ? s : p.time_of_log_snr(2 * (to.from + ratio * to.h));
        log_snr_step const part = log_snr_step_of(name, p, t, middle);
        double const slope = to.alpha_s * slope_weight(form, to.h) * to.h / part.h;
        auto const y = run.scratch();
        using T = typename std::remove_reference_t<decltype(run)>::value_type;
        using Backend = typename std::remove_reference_t<decltype(run)>::backend_type;
        run.advance(here, data_step<T, Backend, 0, 2>{{{{y, part.left, part.first, {}}, {x, to.left, to.first - slope, {}}}}});
        run.advance(run.predict(y, middle), data_step<T, Backend, 1>{{{{x, 0, slope, {1}}}}, {x}});
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("ratio", ratio);
        visit("form", to_string(form));
    }
    friend bool operator==(dpm_solver_2s const&, dpm_solver_2s const&) = default;
};

}  // namespace onestep
