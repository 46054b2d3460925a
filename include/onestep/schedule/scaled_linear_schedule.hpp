#pragma once
#include "noise_table.hpp"

namespace onestep {

/// sqrt(beta_i) evenly spaced from sqrt(first) to sqrt(last): Stable Diffusion's, "quad" in DDPM's code. alpha_bar ends at
/// 4.7e-3, so x_N still holds 7 % of the data; `zero_terminal_snr` removes it.
/// `table` throws domain_error for steps < 1 and betas outside (0, 1).
///
/// Source: Rombach et al. 2022 (arXiv:2112.10752); its published configuration.
struct scaled_linear_schedule {
    static constexpr char const* name = "scaled_linear_schedule";
    double first = 0.00085, last = 0.012;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        if (!(first > 0 && last > 0))
            raise<domain_error>(name, "first is " + to_string(first) + " and last is " + to_string(last), "both must be > 0");
        std::vector<double> beta;
        beta.reserve(static_cast<std::size_t>(steps));
        for (int i = 0; i < steps; ++i) {
            double const root = evenly_spaced(std::sqrt(first), std::sqrt(last), i, steps);
            beta.push_back(root * root);
        }
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const {
        visit("first", first);
        visit("last", last);
        visit("steps", steps);
    }
    friend bool operator==(scaled_linear_schedule const&, scaled_linear_schedule const&) = default;
};

static_assert(noise_schedule<scaled_linear_schedule>);

}  // namespace onestep
