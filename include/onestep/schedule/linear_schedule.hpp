#pragma once
#include "noise_table.hpp"

namespace onestep {

/// beta_i evenly spaced from `first` to `last`: DDPM's. For another number of steps, multiply both by 1000 / steps.
/// alpha_bar ends at 4.0e-5. `table` throws domain_error for steps < 1 and betas outside (0, 1).
///
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239), section 4.
struct linear_schedule {
    static constexpr char const* name = "linear_schedule";
    double first = 1e-4, last = 0.02;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        std::vector<double> beta;
        beta.reserve(static_cast<std::size_t>(steps));
        for (int i = 0; i < steps; ++i) beta.push_back(evenly_spaced(first, last, i, steps));
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const {
        visit("first", first);
        visit("last", last);
        visit("steps", steps);
    }
    friend bool operator==(linear_schedule const&, linear_schedule const&) = default;
};

static_assert(noise_schedule<linear_schedule>);

}  // namespace onestep
