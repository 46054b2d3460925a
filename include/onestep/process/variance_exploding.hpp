#pragma once
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// Noise that grows geometrically over untouched data.
///
///     alpha = 1,    sigma = sigma_min (sigma_max / sigma_min)^t,    0 <= t <= 1
///
/// sigma never reaches 0: at t = 0 the data carry noise of deviation sigma_min. Take sigma_max near the largest distance
/// between two samples. Both are in the data's own units; the published defaults are for images in [0, 1].
/// `t_min` and `t_max` throw domain_error unless 0 < sigma_min < sigma_max.
///
/// Source: Song et al. 2021 (arXiv:2011.13456), equation 9 and appendix C.
struct variance_exploding {
    static constexpr char const* name = "variance_exploding";
    double sigma_min = 0.01, sigma_max = 50;

    double alpha(double) const { return 1; }
    double sigma(double t) const { return t == 1 ? sigma_max : sigma_min * std::exp(t * rate()); }
    double alpha_derivative(double) const { return 0; }
    double sigma_derivative(double t) const { return rate() * sigma(t); }
    double log_snr(double t) const { return -2 * (std::log(sigma_min) + t * rate()); }
    double time_of_log_snr(double value) const { return (-value / 2 - std::log(sigma_min)) / rate(); }
    double t_min() const {
        require_fields();
        return 0;
    }
    double t_max() const {
        require_fields();
        return 1;
    }

    void fields(auto&& visit) const {
        visit("sigma_min", sigma_min);
        visit("sigma_max", sigma_max);
    }
    friend bool operator==(variance_exploding const&, variance_exploding const&) = default;

private:
    double rate() const { return std::log(sigma_max / sigma_min); }  // d log sigma / dt

    void require_fields() const {
        if (!(sigma_min > 0 && sigma_min < sigma_max && sigma_max < HUGE_VAL))
            raise<domain_error>(name, "sigma_min is " + to_string(sigma_min) + " and sigma_max is " + to_string(sigma_max),
                                "0 < sigma_min < sigma_max is needed");
    }
};

static_assert(process<variance_exploding>);

}  // namespace onestep
