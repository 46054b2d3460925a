#pragma once
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// A turn from data to noise of the data's own size (TrigFlow).
///
///     x_t = cos(t) x0 + sigma_data sin(t) epsilon,    0 <= t < pi/2
///
/// sigma/alpha = sigma_data tan t: EDM's level se is t = atan(se / sigma_data). From pi/2 on, where cos t is no longer
/// positive, alpha is 0 and the log-SNR -infinity.
/// `t_min` and `t_max` throw domain_error unless sigma_data > 0 and 0 <= largest_time <= pi/2.
///
/// Source: Lu, Song 2024 (arXiv:2410.11081), section 3.
struct trigonometric_flow {
    static constexpr char const* name = "trigonometric_flow";
    double sigma_data = 0.5;  ///< deviation of the data
    double largest_time = 0;  ///< where sampling starts; 0 stands for atan(80 / sigma_data)

    double alpha(double t) const { return std::fmax(std::cos(t), 0.0); }
    double sigma(double t) const { return sigma_data * std::sin(t); }
    double alpha_derivative(double t) const { return -std::sin(t); }
    double sigma_derivative(double t) const { return sigma_data * std::cos(t); }
    /// +infinity at t = 0.
    double log_snr(double t) const { return 2 * (std::log(alpha(t)) - std::log(sigma(t))); }
    double time_of_log_snr(double value) const { return std::atan(std::exp(-value / 2) / sigma_data); }
    double time_of_noise_to_signal(double value) const { return std::atan(value / sigma_data); }
    double t_min() const {
        require_fields();
        return 0;
    }
    double t_max() const {
        require_fields();
        return largest_time == 0 ? std::atan(80 / sigma_data) : largest_time;
    }
    /// x_t has the data's deviation at every t.
    double prior_scale() const { return sigma_data; }

    void fields(auto&& visit) const {
        visit("sigma_data", sigma_data);
        visit("largest_time", largest_time);
    }
    friend bool operator==(trigonometric_flow const&, trigonometric_flow const&) = default;

private:
    void require_fields() const {
        if (!(sigma_data > 0 && sigma_data < HUGE_VAL))
            raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        if (!(largest_time >= 0 && largest_time <= 1.5707963267948966))
            raise<domain_error>(name, "largest_time is " + to_string(largest_time), "it must lie in [0, pi/2]");
    }
};

static_assert(process<trigonometric_flow>);

}  // namespace onestep
