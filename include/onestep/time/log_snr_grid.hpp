#pragma once
#include "grid.hpp"

namespace onestep {

/// Equal steps in log-SNR = log(alpha^2 / sigma^2), the natural grid of exponential solvers (DPM-Solver, UniPC).
///
/// Where the process's noise end is at -infinity, the grid starts at log-SNR `first` instead of t_max. Where its data end
/// is at +infinity, n - 1 steps lead to log-SNR `last` and the n-th to t_min; with n = 1 that is the only one. Ends with a
/// finite log-SNR are taken as they are, and `first` or `last` is not used.
/// Throws domain_error for a `first` or `last` that is used and not finite, and levels that do not rise.
/// Source: Lu et al. 2022 (arXiv:2206.00927).
struct log_snr_grid {
    static constexpr char const* name = "log_snr_grid";
    double first = -10;  ///< that of the VP process at t = 1: sigma / alpha = 148
    double last = 12;    ///< about EDM's last level: sigma / alpha = 0.0025

    double time(process auto const& p, double from, double to, int steps, int i) const {
        if (i == steps) return to;
        double const start = p.log_snr(from), end = p.log_snr(to);
        bool const cut_start = start == -HUGE_VAL, cut_end = end == HUGE_VAL;
        double const a = cut_start ? first : start, b = cut_end ? last : end;
        int const intervals = cut_end ? steps - 1 : steps;
        if (!std::isfinite(a) || (intervals > 0 && !(a < b && b < HUGE_VAL)))
            raise<domain_error>(name, "log-SNR runs from " + to_string(a) + " to " + to_string(b), "it must be finite and rise");
        if (i == 0) return cut_start ? p.time_of_log_snr(a) : from;
        return p.time_of_log_snr(i == intervals ? b : a + (b - a) * i / intervals);
    }
    void fields(auto&& visit) const {
        visit("first", first);
        visit("last", last);
    }
    friend bool operator==(log_snr_grid const&, log_snr_grid const&) = default;
};

}  // namespace onestep
