#pragma once
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// Time is the noise level itself.
///
///     alpha = 1,    sigma = t,    0 <= t <= sigma_max
///
/// Solvers end at t = 0; sigma_min is the last level before it that grids of noise levels visit.
/// `t_min` and `t_max` throw domain_error unless 0 < sigma_min < sigma_max.
///
/// Source: Karras et al. 2022 (arXiv:2206.00364), table 1.
struct edm {
    static constexpr char const* name = "edm";
    double sigma_min = 0.002, sigma_max = 80;

    double alpha(double) const { return 1; }
    double sigma(double t) const { return t; }
    double alpha_derivative(double) const { return 0; }
    double sigma_derivative(double) const { return 1; }
    /// +infinity at t = 0.
    double log_snr(double t) const { return -2 * std::log(t); }
    double time_of_log_snr(double value) const { return std::exp(-value / 2); }
    double time_of_noise_to_signal(double value) const { return value; }
    double t_min() const {
        require_fields();
        return 0;
    }
    double t_max() const {
        require_fields();
        return sigma_max;
    }

    void fields(auto&& visit) const {
        visit("sigma_min", sigma_min);
        visit("sigma_max", sigma_max);
    }
    friend bool operator==(edm const&, edm const&) = default;

private:
    void require_fields() const {
        if (!(sigma_min > 0 && sigma_min < sigma_max && sigma_max < HUGE_VAL))
            raise<domain_error>(name, "sigma_min is " + to_string(sigma_min) + " and sigma_max is " + to_string(sigma_max),
                                "0 < sigma_min < sigma_max is needed");
    }
};

static_assert(process<edm>);

}  // namespace onestep
