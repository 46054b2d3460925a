#pragma once
#include "noise_table.hpp"

namespace onestep {

/// alpha_bar_i = exp(-rate (i + 1) / steps), that is beta = 1 - exp(-rate / steps), at most `cap`.
/// `table` throws domain_error for steps < 1, rate <= 0 and a cap outside (0, 1).
///
/// Source: the "exp" of Hugging Face's diffusers, rate 12.
struct exponential_schedule {
    static constexpr char const* name = "exponential_schedule";
    double rate = 12, cap = 0.999;
    int steps = 1000;

    noise_table table() const {
        require_steps(name, steps, 1);
        if (!(rate > 0)) raise<domain_error>(name, "rate is " + to_string(rate), "it must be > 0");
        if (!(cap > 0 && cap < 1)) raise<domain_error>(name, "cap is " + to_string(cap), "it must lie in (0, 1)");
        return noise_table::of_betas(name,
                                     std::vector<double>(static_cast<std::size_t>(steps), std::fmin(-std::expm1(-rate / steps), cap)));
    }
    void fields(auto&& visit) const {
        visit("rate", rate);
        visit("cap", cap);
        visit("steps", steps);
    }
    friend bool operator==(exponential_schedule const&, exponential_schedule const&) = default;
};

static_assert(noise_schedule<exponential_schedule>);

}  // namespace onestep
