#pragma once
#include "linear_schedule.hpp"

namespace onestep {

/// Another schedule, changed so that nothing of the data is left at its end: with a_i = sqrt(alpha_bar_i),
///
///     a_i <- (a_i - a_last) a_0 / (a_0 - a_last)
///
/// The first beta stays, the last becomes exactly 1. There epsilon says nothing about x0: predict x0, v or velocity.
/// `table` throws domain_error for a schedule of fewer than 2 steps, and what the schedule throws.
///
/// Source: Lin et al. 2023 (arXiv:2305.08891), algorithm 1.
template <noise_schedule Schedule = linear_schedule> struct zero_terminal_snr {
    static constexpr char const* name = "zero_terminal_snr";
    Schedule schedule;

    zero_terminal_snr(Schedule const& changed = {}) : schedule(changed) {}

    noise_table table() const {
        noise_table const old = schedule.table();
        require_steps(name, old.steps(), 2);
        // a_i - a_last as the sum of what each later step takes away, a_{j-1} beta_j / (1 + sqrt(1 - beta_j)): no cancellation.
        std::vector<double> beta(old.beta), above(beta.size());  // above: a_i - a_last
        for (std::size_t i = beta.size() - 1; i > 0; --i)
            above[i - 1] = above[i] + std::sqrt(old.alpha_bar[i - 1]) * old.beta[i] / (1 + std::sqrt(1 - old.beta[i]));
        for (std::size_t i = 1; i + 1 < beta.size(); ++i) {
            double const before = above[i - 1], taken = std::sqrt(old.alpha_bar[i - 1]) * old.beta[i] / (1 + std::sqrt(1 - old.beta[i]));
            beta[i] = taken * (before + above[i]) / (before * before);
        }
        beta.back() = 1;
        return noise_table::of_betas(name, std::move(beta));
    }
    void fields(auto&& visit) const { visit("schedule", schedule); }
    friend bool operator==(zero_terminal_snr const&, zero_terminal_snr const&) = default;
};

static_assert(noise_schedule<zero_terminal_snr<>>);

}  // namespace onestep
