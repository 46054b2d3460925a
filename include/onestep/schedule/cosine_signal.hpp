#pragma once
#include "signal_schedule.hpp"

namespace onestep {

/// alpha(t) = cos((t + offset) / (1 + offset) pi/2) / cos(offset / (1 + offset) pi/2): 1 at t = 0, exactly 0 at t = 1. The
/// continuous form of `cosine_schedule`.
///
/// Solvers start at `largest_time` (DPM-Solver's; alpha is 0.0084 there) and end at `smallest_time`: sigma' is infinite at
/// t = 0 unless offset is 0. `t_min` and `t_max` throw domain_error unless offset >= 0 and
/// 0 <= smallest_time < largest_time <= 1.
///
/// Source: Nichol, Dhariwal 2021 (arXiv:2102.09672), equation 17; times of Lu et al. 2022 (arXiv:2206.00927), appendix D.
struct cosine_signal {
    static constexpr char const* name = "cosine_signal";
    double offset = 0.008;
    double smallest_time = 1e-3, largest_time = 0.9946;

    double log_alpha(double t) const {
        double const first = angle(0), turned = quarter * t / (1 + offset), scale = std::cos(first);
        // alpha^2 = 1 - sin(turned) sin(turned + 2 first) / cos^2(first)
        double const lost = std::sin(turned) * std::sin(turned + 2 * first) / (scale * scale);
        return lost < 0.5 ? 0.5 * std::log1p(-lost) : std::log(std::sin(complement(t)) / scale);
    }
    double log_alpha_derivative(double t) const {
        double const rest = complement(t);
        return -quarter / (1 + offset) * (std::cos(rest) / std::sin(rest));
    }
    double alpha_derivative(double t) const { return -quarter / (1 + offset) * std::cos(complement(t)) / std::cos(angle(0)); }
    double time_of_log_alpha(double value) const {
        double const first = angle(0), scale = std::cos(first), alpha = std::exp(value);
        if (alpha < 0.5) return 1 - std::asin(alpha * scale) * (1 + offset) / quarter;
        double const cosine = alpha * scale, lost = -std::expm1(2 * value) * scale * scale;
        double const sine = std::sqrt(std::sin(first) * std::sin(first) + lost);
        double const sum = sine * scale + cosine * std::sin(first);
        if (sum == 0) return 0;
        return std::atan2(lost / sum, cosine * scale + sine * std::sin(first)) * (1 + offset) / quarter;
    }
    double t_min() const {
        require_fields();
        return smallest_time;
    }
    double t_max() const {
        require_fields();
        return largest_time;
    }

    void fields(auto&& visit) const {
        visit("offset", offset);
        visit("smallest_time", smallest_time);
        visit("largest_time", largest_time);
    }
    friend bool operator==(cosine_signal const&, cosine_signal const&) = default;

private:
    static constexpr double quarter = 1.5707963267948966;  // pi / 2
    double angle(double t) const { return quarter * (t + offset) / (1 + offset); }
    double complement(double t) const { return quarter * (1 - t) / (1 + offset); }  // pi/2 - angle, exactly 0 at t = 1

    void require_fields() const {
        if (!(offset >= 0 && offset < HUGE_VAL)) raise<domain_error>(name, "offset is " + to_string(offset), "it must be >= 0");
        if (!(smallest_time >= 0 && smallest_time < largest_time && largest_time <= 1))
            raise<domain_error>(name, "smallest_time is " + to_string(smallest_time) + " and largest_time is " + to_string(largest_time),
                                "0 <= smallest_time < largest_time <= 1 is needed");
    }
};

static_assert(signal_schedule<cosine_signal>);

}  // namespace onestep
