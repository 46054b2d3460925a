#pragma once
#include "signal_schedule.hpp"

namespace onestep {

/// beta(t) = beta_min + (beta_max - beta_min) t, 0 <= t <= 1: the continuous form of DDPM's linear schedule.
///
///     log alpha = -B/2,    B = beta_min t + (beta_max - beta_min) t^2 / 2
///
/// Solvers end at `smallest_time`: sigma' is infinite at t = 0. Training usually goes down to 1e-5.
/// `t_min` and `t_max` throw domain_error unless 0 <= beta_min, 0 < beta_max and 0 <= smallest_time < 1.
///
/// Source: Song et al. 2021 (arXiv:2011.13456), appendix C; the inverse after Lu et al. 2022 (arXiv:2206.00927), appendix D.4.
struct linear_beta {
    static constexpr char const* name = "linear_beta";
    double beta_min = 0.1, beta_max = 20;
    double smallest_time = 1e-3;

    double log_alpha(double t) const { return -0.5 * t * (beta_min + 0.5 * t * (beta_max - beta_min)); }
    double log_alpha_derivative(double t) const { return -0.5 * (beta_min + t * (beta_max - beta_min)); }
    double time_of_log_alpha(double value) const {
        if (value == -HUGE_VAL) return HUGE_VAL;
        if (value == 0) return 0;
        return -4 * value / (std::sqrt(beta_min * beta_min - 4 * value * (beta_max - beta_min)) + beta_min);
    }
    double t_min() const {
        require_fields();
        return smallest_time;
    }
    double t_max() const {
        require_fields();
        return 1;
    }

    void fields(auto&& visit) const {
        visit("beta_min", beta_min);
        visit("beta_max", beta_max);
        visit("smallest_time", smallest_time);
    }
    friend bool operator==(linear_beta const&, linear_beta const&) = default;

private:
    void require_fields() const {
        if (!(beta_min >= 0 && beta_max > 0 && beta_min < HUGE_VAL && beta_max < HUGE_VAL))
            raise<domain_error>(name, "beta_min is " + to_string(beta_min) + " and beta_max is " + to_string(beta_max),
                                "0 <= beta_min and 0 < beta_max are needed");
        if (!(smallest_time >= 0 && smallest_time < 1))
            raise<domain_error>(name, "smallest_time is " + to_string(smallest_time), "it must lie in [0, 1)");
    }
};

static_assert(signal_schedule<linear_beta>);

}  // namespace onestep
