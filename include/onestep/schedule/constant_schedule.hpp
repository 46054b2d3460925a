#pragma once
#include "noise_table.hpp"

namespace onestep {

/// The same beta at every step. `table` throws domain_error for steps < 1 and a beta outside (0, 1).
///
/// Source: the "const" of DDPM's code (Ho, Jain, Abbeel 2020, arXiv:2006.11239).
struct constant_schedule {
    static constexpr char const* name = "constant_schedule";
    double beta = 0.02;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        return noise_table::of_betas(name, std::vector<double>(static_cast<std::size_t>(steps), beta));
    }
    void fields(auto&& visit) const {
        visit("beta", beta);
        visit("steps", steps);
    }
    friend bool operator==(constant_schedule const&, constant_schedule const&) = default;
};

static_assert(noise_schedule<constant_schedule>);

}  // namespace onestep
