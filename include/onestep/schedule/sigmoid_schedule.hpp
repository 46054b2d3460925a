#pragma once
#include "noise_table.hpp"

namespace onestep {

/// alpha_bar is a falling sigmoid, scaled to go from 1 to 0: with S(u) = 1 / (1 + exp(-u)) and u running from start/tau to
/// end/tau,
///
///     alpha_bar = (S(end/tau) - S(u)) / (S(end/tau) - S(start/tau)),    beta_i at most `cap`.
///
/// Not `sigmoid_beta_schedule`, where beta is one. `table` throws domain_error for steps < 1, tau <= 0, start >= end, ends
/// further than 700 tau from 0, and a cap outside (0, 1].
///
/// Source: Jabri, Fleet, Chen 2022 (arXiv:2212.11972), appendix B.
struct sigmoid_schedule {
    static constexpr char const* name = "sigmoid_schedule";
    double start = -3, end = 3, tau = 1, cap = 0.999;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        double const from = start / tau, to = end / tau;
        if (!(tau > 0 && from < to && from >= -700 && to <= 700))
            raise<domain_error>(name, "start is " + to_string(start) + ", end is " + to_string(end) + " and tau is " + to_string(tau),
                                "-700 tau <= start < end <= 700 tau is needed");
        if (!(cap > 0 && cap <= 1)) raise<domain_error>(name, "cap is " + to_string(cap), "it must lie in (0, 1]");
        std::vector<double> beta;
        beta.reserve(static_cast<std::size_t>(steps));
        double const half_step = (to - from) / steps / 2;
        for (int i = 0; i < steps; ++i) {
            // S(b) - S(a) = sinh((b - a)/2) / (2 cosh(a/2) cosh(b/2)): a ratio of two such differences, without cancellation.
            double const right = from + (to - from) * (i + 1) / steps, left_to_end = half_step * (steps - i);
            double const lost = std::sinh(half_step) / std::sinh(left_to_end) * (std::cosh(to / 2) / std::cosh(right / 2));
            beta.push_back(std::fmin(i + 1 == steps ? 1 : lost, cap));
        }
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const {
        visit("start", start);
        visit("end", end);
        visit("tau", tau);
        visit("cap", cap);
        visit("steps", steps);
    }
    friend bool operator==(sigmoid_schedule const&, sigmoid_schedule const&) = default;
};

static_assert(noise_schedule<sigmoid_schedule>);

}  // namespace onestep
