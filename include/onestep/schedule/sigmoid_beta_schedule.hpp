#pragma once
#include "noise_table.hpp"

namespace onestep {

/// beta_i = first + (last - first) / (1 + exp(-u_i)), u_i evenly spaced in [-6, 6]. Not `sigmoid_schedule`, where alpha_bar
/// itself is a sigmoid. `table` throws domain_error for steps < 1 and betas outside (0, 1).
///
/// Source: Xu et al. 2022, GeoDiff (arXiv:2203.02923); the "sigmoid" of DDIM's code.
struct sigmoid_beta_schedule {
    static constexpr char const* name = "sigmoid_beta_schedule";
    double first = 1e-4, last = 0.02;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        std::vector<double> beta;
        beta.reserve(static_cast<std::size_t>(steps));
        for (int i = 0; i < steps; ++i) beta.push_back(first + (last - first) / (1 + std::exp(-evenly_spaced(-6, 6, i, steps))));
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const {
        visit("first", first);
        visit("last", last);
        visit("steps", steps);
    }
    friend bool operator==(sigmoid_beta_schedule const&, sigmoid_beta_schedule const&) = default;
};

static_assert(noise_schedule<sigmoid_beta_schedule>);

}  // namespace onestep
