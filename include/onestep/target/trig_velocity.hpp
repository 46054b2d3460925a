#pragma once
#include "concept.hpp"

namespace onestep {

/// The network of trigonometric flow, x_t = cos(t) x0 + sd sin(t) epsilon: its velocity in units of sigma_data (sd),
///
///     dx/dt = sd F(x / sd, t),    F = cos(t) epsilon - sin(t) x0 / sd,    x0 = cos(t) x - sd sin(t) F
///
/// On another process it is the same function at the angle of equal signal-to-noise ratio, tan t = sigma / (sd alpha):
///
///     F = (sd alpha / h) epsilon - (sigma / (sd h)) x0,    the network reads x_t / h,    h = sqrt(sigma^2 + sd^2 alpha^2)
///
/// where h = sd on trigonometric flow of the same sigma_data. That is minus EDM's F: the two differ in sign and clock. Errors never grow
/// by more than sd in x0. Nothing divides by alpha or sigma; both ends are regular.
/// The members throw domain_error unless sigma_data > 0.
/// Source: Lu, Song 2024 (arXiv:2410.11081), section 3.
struct trig_velocity {
    static constexpr char const* name = "trig_velocity";
    double sigma_data = 0.5;  ///< > 0

    target_weights weights(marginal const& m) const {
        double const h = length(m);
        return {-m.sigma / (sigma_data * h), sigma_data * m.alpha / h};
    }
    /// 1 / h: 1 / sd on trigonometric flow.
    double input_scale(marginal const& m) const { return 1 / length(m); }
    /// The angle in [0, pi/2]: t itself on trigonometric flow.
    double network_time(marginal const& m) const { return std::atan2(m.sigma, sigma_data * m.alpha); }

    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(trig_velocity const&, trig_velocity const&) = default;

private:
    double length(marginal const& m) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        return std::hypot(m.sigma, sigma_data * m.alpha);
    }
};

static_assert(target<trig_velocity> && scales_input<trig_velocity> && tells_network_time<trig_velocity>);

}  // namespace onestep
