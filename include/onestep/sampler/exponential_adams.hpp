#pragma once
#include "multistep.hpp"

namespace onestep {

/// What a polynomial goes through: predicted clean samples or predicted noise.
enum class interpolated { data, noise };

inline char const* to_string(interpolated what) { return what == interpolated::data ? "data" : "noise"; }

/// Exponential Adams-Bashforth methods on any process: the polynomial in half log-SNR through the newest `order` predictions is
/// integrated exactly against the exponential of exponential.hpp,
///
///     x_s = (sigma_s / sigma_t) x + alpha_s h sum of w_j D_j              (interpolated::data)
///     x_s = (alpha_s / alpha_t) x - sigma_s h sum of v_j epsilon_j        (interpolated::noise)
///
/// `noise` is DEIS in the variable log(sigma / alpha), the usual form of it; `data` is DPM-Solver++'s choice, which a clipped or guided
/// network suits better, and of order 2 and 3 the same as dpm_solver_2m with heun and dpm_solver_3m.
///
/// The first step has order 1, the next one 2, and so on; a step that starts at alpha = 0 or ends at sigma = 0 is of first order (DDIM's):
/// at the data x_s is D. Towards the noise it inverts; domain_error from sigma = 0 on, and for an order outside its range.
///
/// Cost: `steps` evaluations, at most order + 3 tensors of x's shape.  Order: `order` where the first steps are short or lie in the noise
/// (tests/sampler/exponential_adams.cpp).
/// Source: Zhang, Chen 2022 (arXiv:2204.13902); Hochbruck, Ostermann 2005 (doi:10.1016/j.apnum.2004.08.005).
struct exponential_adams {
    static constexpr char const* name = "exponential_adams";
    static constexpr bool remembers = true;
    int steps = 20;  ///< intervals of the grid, >= 1
    int order = 3;   ///< 1 to 4
    interpolated what = interpolated::data;
    bool lower_order_final = true;  ///< the last of fewer than 15 steps is of first order, the one before of second, and so on

    void step(auto& run, double t, double s) const {
        if (order < 1 || order > 4) raise<domain_error>(name, "order is " + std::to_string(order), "it must be 1 to 4");
        log_snr_step const to = log_snr_step_of(name, run.process(), t, s);
        auto const here = run.predict(run.x(), t);
        if (!to.is_finite()) return run.advance(here, to.left, to.first);
        auto const keep = run.keep(t);
        multistep_history const past = history_of(run, to, order_at_the_end(order, run.steps(), run.index(), lower_order_final) - 1);
        bool const data = what == interpolated::data;
        multistep_update next{to.left, exponential_weights(data ? -to.h : to.h, past.node, past.count + 1)};
        for (double& w : next.weight) w *= data ? to.alpha_s * to.h : -to.sigma_s * to.h;
        if (!data) {  // epsilon = (x - alpha D) / sigma, also of a limited D
            next.x = to.alpha_s / to.alpha_t;
            next.keep_x = 1 / to.sigma_t;
            next.keep_data = -to.alpha_t / to.sigma_t;
        }
        next.run(run, here, keep, past.count);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("order", order);
        visit("what", to_string(what));
        visit("lower_order_final", lower_order_final);
    }
    friend bool operator==(exponential_adams const&, exponential_adams const&) = default;
};

}  // namespace onestep
