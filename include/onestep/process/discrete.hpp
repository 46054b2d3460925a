#pragma once
#include <memory>

#include "../schedule/linear_schedule.hpp"
#include "concept.hpp"
#include "log_snr.hpp"

namespace onestep {

/// The process of a noise table: DDPM's.
///
///     discrete{}                                               1000 steps, beta from 1e-4 to 0.02
///     discrete{cosine_schedule{.steps = 4000}}
///     discrete{zero_terminal_snr{scaled_linear_schedule{}}}
///
/// t = 0 is the data and t = i + 1 the literature's index i, 0 <= t <= N; the network is told the index, t - 1. At those
/// times alpha = sqrt(alpha_bar_i) and sigma = sqrt(1 - alpha_bar_i) are the table's own. Between them log alpha is linear,
/// except that alpha itself is linear where it falls to 0; beyond N the last interval goes on (an alpha of 0 stays 0). Derivatives at a
/// level are those of the interval towards the data, the one that beta_i made. sigma' is infinite at t = 0.
///
/// The table is built once, O(N); a copy shares it and allocates nothing. log_snr and its inverse cost one logarithm and
/// O(log N). The constructor throws what the schedule's `table` throws. Sampling starts from unit noise.
///
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239); between levels Lu et al. 2022 (arXiv:2206.00927), appendix D.
template <noise_schedule Schedule = linear_schedule> class discrete {
public:
    static constexpr char const* name = "discrete";

    discrete(Schedule const& schedule = {}) : schedule_(schedule), table_(std::make_shared<noise_table const>(schedule.table())) {}
    Schedule const& schedule() const { return schedule_; }
    noise_table const& table() const { return *table_; }
    int steps() const { return table_->steps(); }

    double alpha(double t) const {
        auto const [i, f] = place(t);
        if (f == 1) return std::sqrt(table_->alpha_bar[i]);
        return std::sqrt(alpha_bar_before(i)) * (ends_at_zero(i) ? 1 - f : std::exp(f * rate(i)));
    }
    double sigma(double t) const {
        auto const [i, f] = place(t);
        return std::sqrt(f == 1 ? table_->variance[i] : variance(i, f));
    }
    double alpha_derivative(double t) const {
        auto const [i, f] = place(t);
        return ends_at_zero(i) ? -std::sqrt(alpha_bar_before(i)) : alpha(t) * rate(i);
    }
    double sigma_derivative(double t) const { return -alpha(t) * alpha_derivative(t) / sigma(t); }
    double log_snr(double t) const {
        auto const [i, f] = place(t);
        if (f == 1) return level_log_snr(i);
        double const above = ends_at_zero(i) ? -2 * std::log1p(-f) : -2 * f * rate(i);
        return -loss_before(i) - above - std::log(variance(i, f));
    }
    double time_of_log_snr(double value) const {
        std::size_t first = 0, last = table_->beta.size() - 1;  // the first interval whose end has no more signal than that
        while (first < last) {
            std::size_t const middle = first + (last - first) / 2;
            if (level_log_snr(middle) <= value) last = middle;
            else first = middle + 1;
        }
        if (level_log_snr(first) == value) return static_cast<double>(first + 1);
        double const above = signal_loss_of_log_snr(value) - loss_before(first);
        return static_cast<double>(first) + (ends_at_zero(first) ? -std::expm1(-above / 2) : -above / (2 * rate(first)));
    }
    double t_min() const { return 0; }
    double t_max() const { return steps(); }

    /// The literature's index, 0 .. N - 1.
    double network_time(double t) const { return std::fmax(t - 1, 0.0); }
    double prior_scale() const { return 1; }
    double drift(double t) const {
        auto const [i, f] = place(t);
        return ends_at_zero(i) ? -1 / (1 - f) : rate(i);
    }
    /// About beta_i for small betas: -log(1 - beta_i). At t = 0 too.
    double diffusion_squared(double t) const { return -2 * drift(t); }

    void fields(auto&& visit) const { visit("schedule", schedule_); }
    friend bool operator==(discrete const& a, discrete const& b) { return a.schedule_ == b.schedule_; }

private:
    struct position {
        std::size_t interval;  // from level `interval` to level `interval + 1`; its beta has the same index
        double fraction;       // 0 at its beginning; 1 exactly at a level, other than t = 0
    };
    position place(double t) const {
        double const last = static_cast<double>(steps() - 1);
        double const i = std::fmin(std::fmax(std::ceil(t) - 1, 0.0), last);
        auto const interval = static_cast<std::size_t>(i);
        return {interval, ends_at_zero(interval) ? std::fmin(t - i, 1.0) : t - i};
    }
    bool ends_at_zero(std::size_t i) const { return table_->beta[i] == 1; }
    double rate(std::size_t i) const { return 0.5 * std::log1p(-table_->beta[i]); }  // d log alpha / dt
    double alpha_bar_before(std::size_t i) const { return i == 0 ? 1 : table_->alpha_bar[i - 1]; }
    double variance_before(std::size_t i) const { return i == 0 ? 0 : table_->variance[i - 1]; }
    double variance(std::size_t i, double f) const {
        return variance_before(i) + alpha_bar_before(i) * (ends_at_zero(i) ? f * (2 - f) : -std::expm1(2 * f * rate(i)));
    }
    // -log alpha_bar where the interval begins
    double loss_before(std::size_t i) const {
        double const v = variance_before(i);
        return v < 0.5 ? -std::log1p(-v) : -std::log(alpha_bar_before(i));
    }
    double level_log_snr(std::size_t i) const { return std::log(table_->alpha_bar[i] / table_->variance[i]); }

    Schedule schedule_;
    std::shared_ptr<noise_table const> table_;
};

static_assert(discrete_process<discrete<>>);

}  // namespace onestep
