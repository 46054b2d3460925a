#pragma once
#include "noise_table.hpp"

namespace onestep {

/// alpha_bar follows cos^2((i/N + offset) / (1 + offset) pi/2); beta_i = 1 - its ratio over one step, at most `cap`.
/// `table` throws domain_error for steps < 1, a negative offset and a cap outside (0, 1].
///
/// With cap = 1 the last beta is 1 and alpha_bar ends at exactly 0.
/// Source: Nichol, Dhariwal 2021 (arXiv:2102.09672), equation 17.
struct cosine_schedule {
    static constexpr char const* name = "cosine_schedule";
    double offset = 0.008, cap = 0.999;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        if (!(offset >= 0 && offset < HUGE_VAL)) raise<domain_error>(name, "offset is " + to_string(offset), "it must be >= 0");
        if (!(cap > 0 && cap <= 1)) raise<domain_error>(name, "cap is " + to_string(cap), "it must lie in (0, 1]");
        constexpr double quarter = 1.5707963267948966;
        std::vector<double> beta;
        beta.reserve(static_cast<std::size_t>(steps));
        double const step = quarter / (1 + offset) / steps;
        for (int i = 0; i < steps; ++i) {
            // cos a / cos b is taken as sin of the complements, which end at exactly 0.
            double const left = step * (steps - i), right = step * (steps - i - 1);
            double const shrink = std::sin(right) / std::sin(left), kept = shrink * shrink;
            // 1 - sin^2 r / sin^2 l = sin(l - r) sin(l + r) / sin^2 l keeps the digits of a small beta.
            double const lost = kept < 0.5 ? 1 - kept : std::sin(step) * std::sin(left + right) / (std::sin(left) * std::sin(left));
            beta.push_back(std::fmin(lost, cap));
        }
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const {
        visit("offset", offset);
        visit("cap", cap);
        visit("steps", steps);
    }
    friend bool operator==(cosine_schedule const&, cosine_schedule const&) = default;
};

static_assert(noise_schedule<cosine_schedule>);

}  // namespace onestep
