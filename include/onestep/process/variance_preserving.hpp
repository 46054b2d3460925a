#pragma once
#include "../schedule/linear_beta.hpp"
#include "concept.hpp"
#include "log_snr.hpp"

namespace onestep {

/// The path of constant variance, alpha^2 + sigma^2 = 1, over a schedule of log alpha:
///
///     variance_preserving{}                                    Song's VP SDE, beta from 0.1 to 20
///     variance_preserving{linear_beta{.beta_max = 10}}
///     variance_preserving{cosine_signal{}}                     Nichol and Dhariwal's cosine
///
/// f = -beta/2 and g^2 = beta with beta = -2 d log alpha/dt. sigma' is infinite at t = 0. Sampling starts from unit noise.
/// The constructor throws domain_error for a schedule whose fields are out of range.
///
/// Source: Song et al. 2021 (arXiv:2011.13456), equation 11.
template <signal_schedule Schedule = linear_beta> class variance_preserving {
public:
    static constexpr char const* name = "variance_preserving";

    variance_preserving(Schedule const& schedule = {}) : schedule_(schedule) {
        t_min();  // both look at the schedule's fields
        t_max();
    }
    Schedule const& schedule() const { return schedule_; }

    double alpha(double t) const { return std::exp(schedule_.log_alpha(t)); }
    double sigma(double t) const { return std::sqrt(-std::expm1(2 * schedule_.log_alpha(t))); }
    double alpha_derivative(double t) const { return alpha_derivative_of(schedule_, t); }
    double sigma_derivative(double t) const { return -alpha(t) * alpha_derivative(t) / sigma(t); }
    double log_snr(double t) const { return log_snr_of_signal_loss(-2 * schedule_.log_alpha(t)); }
    double time_of_log_snr(double value) const { return schedule_.time_of_log_alpha(-0.5 * signal_loss_of_log_snr(value)); }
    double t_min() const { return schedule_.t_min(); }
    double t_max() const { return schedule_.t_max(); }

    double prior_scale() const { return 1; }
    double drift(double t) const { return schedule_.log_alpha_derivative(t); }
    /// beta(t), at t = 0 too.
    double diffusion_squared(double t) const { return -2 * schedule_.log_alpha_derivative(t); }

    void fields(auto&& visit) const { visit("schedule", schedule_); }
    friend bool operator==(variance_preserving const&, variance_preserving const&) = default;

private:
    Schedule schedule_;
};

static_assert(process<variance_preserving<>>);

}  // namespace onestep
