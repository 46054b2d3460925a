#pragma once
#include "signal_schedule.hpp"

namespace onestep {

/// alpha(t) = cos(b + a t), 0 <= t <= 1, with a and b such that the log-SNR runs from log_snr_max to log_snr_min:
///
///     log SNR = -2 log tan(b + a t),    b = atan(exp(-log_snr_max/2)),    b + a = atan(exp(-log_snr_min/2))
///
/// `t_min` and `t_max` throw domain_error unless log_snr_min < log_snr_max, both finite.
///
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), appendix; Kingma et al. 2021 (arXiv:2107.00630).
struct log_snr_cosine {
    static constexpr char const* name = "log_snr_cosine";
    double log_snr_min = -20, log_snr_max = 20;

    double log_alpha(double t) const {
        double const sine = std::sin(angle(t));
        return sine * sine < 0.5 ? 0.5 * std::log1p(-sine * sine) : std::log(std::sin(complement(t)));
    }
    double log_alpha_derivative(double t) const { return -rate() * (angle(t) < 1 ? std::tan(angle(t)) : 1 / std::tan(complement(t))); }
    double time_of_log_alpha(double value) const {
        double const alpha = std::exp(value), sigma = std::sqrt(-std::expm1(2 * value));
        return alpha > sigma ? (std::atan2(sigma, alpha) - first()) / rate() : 1 - (std::atan2(alpha, sigma) - rest()) / rate();
    }
    double t_min() const {
        require_fields();
        return 0;
    }
    double t_max() const {
        require_fields();
        return 1;
    }

    void fields(auto&& visit) const {
        visit("log_snr_min", log_snr_min);
        visit("log_snr_max", log_snr_max);
    }
    friend bool operator==(log_snr_cosine const&, log_snr_cosine const&) = default;

private:
    double first() const { return std::atan(std::exp(-log_snr_max / 2)); }   // the angle at t = 0
    double rest() const { return std::atan(std::exp(log_snr_min / 2)); }     // pi/2 less the angle at t = 1
    double rate() const { return 1.5707963267948966 - rest() - first(); }    // a
    double angle(double t) const { return first() + rate() * t; }            // b + a t
    double complement(double t) const { return rest() + rate() * (1 - t); }  // pi/2 - angle, with its own digits

    void require_fields() const {
        if (!(log_snr_min < log_snr_max && log_snr_min > -HUGE_VAL && log_snr_max < HUGE_VAL))
            raise<domain_error>(name, "log_snr_min is " + to_string(log_snr_min) + " and log_snr_max is " + to_string(log_snr_max),
                                "log_snr_min < log_snr_max, both finite, is needed");
    }
};

static_assert(signal_schedule<log_snr_cosine>);

}  // namespace onestep
