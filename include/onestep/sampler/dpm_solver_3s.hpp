#pragma once
#include "concept.hpp"
#include "exponential.hpp"

namespace onestep {

/// DPM-Solver++ of third order with two evaluations inside the step, at fractions r1 < r2 of it in half log-SNR (`first`, `second`),
/// on any process:
///
///     y = x at lambda_t + r1 h by a step of first order
///     z = x at lambda_t + r2 h by the step of dpm_solver_2s through y
///     x_s = (sigma_s / sigma_t) x + alpha_s h (phi_1(-h) D(x) + phi_2(-h) D' + phi_3(-h) D'')
///
/// With `form` midpoint D' = (D(z) - D(x)) / r2 and D'' = 0; with heun both are those of the parabola through all three predictions. A step
/// that starts at alpha = 0 or ends at sigma = 0 is of first order, with one evaluation: at the data x_s is D. Towards the noise it
/// inverts; domain_error from sigma = 0 on, and for fractions outside their range.
///
/// Cost: 3 evaluations a step (1 in the last one to sigma = 0), 5 tensors of x's shape.  Order: 3 with r2 = 2/3 and, for heun, r1 = 1/3,
/// else 2 (tests/sampler/dpm_solver_3s.cpp).
/// Source: Lu et al. 2022 (arXiv:2206.00927), DPM-Solver-3, with clean samples in place of noise (arXiv:2211.01095).
struct dpm_solver_3s {
    static constexpr char const* name = "dpm_solver_3s";
    static constexpr int order = 3;
    int steps = 7;                             ///< intervals of the grid, >= 1
    double first = 1.0 / 3, second = 2.0 / 3;  ///< 0 < first < second <= 1
    second_order form = second_order::midpoint;

    void step(auto& run, double t, double s) const {
        if (!(first > 0 && first < second && second <= 1))
            raise<domain_error>(name, "first is " + to_string(first) + " and second is " + to_string(second),
                                "0 < first < second <= 1 is needed");
        auto const& p = run.process();
        log_snr_step const to = log_snr_step_of(name, p, t, s);
        auto const x = run.x();
        auto const here = run.predict(x, t);
        if (!to.is_finite()) return run.advance(here, to.left, to.first);
        double const early = p.time_of_log_snr(2 * (to.from + first * to.h));
        double const late = second == 1 ? s : p.time_of_log_snr(2 * (to.from + second * to.h));
        log_snr_step const to_y = log_snr_step_of(name, p, t, early), to_z = log_snr_step_of(name, p, t, late);
        double const inner = to_z.alpha_s * slope_weight(form, to_z.h) * to_z.h / to_y.h;
        double const scale = to.alpha_s * to.h, a = to_y.h / to.h, b = to_z.h / to.h;
        std::array<double, 4> weight{to.first - scale * phi(2, -to.h) / b, 0, scale * phi(2, -to.h) / b};
        if (form == second_order::heun) {
            weight = exponential_weights(-to.h, {0, a, b}, 3);
            for (double& w : weight) w *= scale;
        }
        auto const y = run.scratch(), z = run.scratch();
        using T = typename std::remove_reference_t<decltype(run)>::value_type;
        using Backend = typename std::remove_reference_t<decltype(run)>::backend_type;
        // What is known of z and x_s is summed up in place, so that no prediction is stored.
        run.advance(here, data_step<T, Backend, 0, 3>{
                              {{{y, to_y.left, to_y.first, {}}, {z, to_z.left, to_z.first - inner, {}}, {x, to.left, weight[0], {}}}}});
        auto const at_y = run.predict(y, early);
        if (weight[1] == 0) run.advance(at_y, data_step<T, Backend, 1>{{{{z, 0, inner, {1}}}}, {z}});
        else run.advance(at_y, data_step<T, Backend, 2, 2>{{{{z, 0, inner, {1, 0}}, {x, 0, weight[1], {0, 1}}}}, {z, x}});
        run.advance(run.predict(z, late), data_step<T, Backend, 1>{{{{x, 0, weight[2], {1}}}}, {x}});
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("first", first);
        visit("second", second);
        visit("form", to_string(form));
    }
    friend bool operator==(dpm_solver_3s const&, dpm_solver_3s const&) = default;
};

}  // namespace onestep
