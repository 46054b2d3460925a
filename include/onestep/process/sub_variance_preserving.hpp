#pragma once
#include "../schedule/linear_beta.hpp"
#include "concept.hpp"

namespace onestep {

/// The path with the alpha of `variance_preserving` and its sigma squared,
///
///     sigma = 1 - alpha^2
///
/// which has less noise in the middle of the path (there alpha^2 + sigma^2 < 1) and was made for likelihoods.
/// f = -beta/2, g^2 = beta (1 - alpha^4). Sampling starts from unit noise.
/// The constructor throws domain_error for a schedule whose fields are out of range.
///
/// Source: Song et al. 2021 (arXiv:2011.13456), equation 12.
template <signal_schedule Schedule = linear_beta> class sub_variance_preserving {
public:
    static constexpr char const* name = "sub_variance_preserving";

    sub_variance_preserving(Schedule const& schedule = {}) : schedule_(schedule) {
        t_min();  // both look at the schedule's fields
        t_max();
    }
    Schedule const& schedule() const { return schedule_; }

    double alpha(double t) const { return std::exp(schedule_.log_alpha(t)); }
    double sigma(double t) const { return -std::expm1(2 * schedule_.log_alpha(t)); }
    double alpha_derivative(double t) const { return alpha_derivative_of(schedule_, t); }
    double sigma_derivative(double t) const { return -2 * alpha(t) * alpha_derivative(t); }
    double log_snr(double t) const { return 2 * (schedule_.log_alpha(t) - std::log(sigma(t))); }
    double time_of_log_snr(double value) const {
        // alpha = k sigma with k = exp(value/2) and sigma = 1 - alpha^2: a quadratic, solved for sigma without cancellation.
        double const sigma = 2 / (1 + std::hypot(1, 2 * std::exp(value / 2)));
        return schedule_.time_of_log_alpha(sigma < 0.5 ? 0.5 * std::log1p(-sigma) : value / 2 + std::log(sigma));
    }
    double t_min() const { return schedule_.t_min(); }
    double t_max() const { return schedule_.t_max(); }

    double prior_scale() const { return 1; }
    double drift(double t) const { return schedule_.log_alpha_derivative(t); }

    void fields(auto&& visit) const { visit("schedule", schedule_); }
    friend bool operator==(sub_variance_preserving const&, sub_variance_preserving const&) = default;

private:
    Schedule schedule_;
};

static_assert(process<sub_variance_preserving<>>);

}  // namespace onestep
