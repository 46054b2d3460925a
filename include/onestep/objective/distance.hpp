#pragma once
/// How far a prediction lies from its target: a function of S = |r|^2, the squared norm of one sample's residual.
#include <concepts>

#include "../core/host_device.hpp"
#include "../core/math.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// value(S, d) is the distance of a sample with d elements, slope(S, d) the factor in d value / d r = slope r; of a distance that
/// holds a part of itself constant, the slope of the rest.
/// `constant_slope` says that slope does not depend on S, which saves a pass.
template <class D>
concept distance = spec<D> && std::is_trivially_copyable_v<D> && requires(D const& d, double s, index_t n) {
    { d.value(s, n) } -> std::same_as<double>;
    { d.slope(s, n) } -> std::same_as<double>;
    { D::constant_slope } -> std::convertible_to<bool>;
};

/// The distance as it is reported beside the loss: without what a distance divides out of it (`plain(S, d)`), else itself.
template <class D> ONESTEP_HD double plain_distance(D const& rho, double s, index_t d) {
    if constexpr (requires { rho.plain(s, d); }) return rho.plain(s, d);
    else return rho.value(s, d);
}

/// The mean of the squared elements: S / d.
struct squared {
    static constexpr char const* name = "squared";
    static constexpr bool constant_slope = true;
    ONESTEP_HD double value(double s, index_t d) const { return s / static_cast<double>(d); }
    ONESTEP_HD double slope(double, index_t d) const { return 2 / static_cast<double>(d); }
    void fields(auto&&) const {}
    friend bool operator==(squared const&, squared const&) = default;
};

/// sqrt(S + c^2) - c on the whole sample: squared near zero, the norm far out, so that single samples do not rule the
/// gradient. c = 0.00054 sqrt(d) in the source. Per element with the same c it would be the squared distance.
/// Source: Song, Dhariwal 2023 (arXiv:2310.14189), equation 7.
struct pseudo_huber {
    static constexpr char const* name = "pseudo_huber";
    static constexpr bool constant_slope = false;
    double c = 0.03;  ///< > 0, in units of a sample's norm
    ONESTEP_HD double value(double s, index_t) const { return math::sqrt(s + c * c) - c; }
    ONESTEP_HD double slope(double s, index_t) const { return 1 / math::sqrt(s + c * c); }
    void fields(auto&& visit) const { visit("c", c); }
    friend bool operator==(pseudo_huber const&, pseudo_huber const&) = default;
};

/// S / (S + c)^p with the denominator held constant in the gradient, S the sum of squares of a sample:
///
///     p = 0: plain least squares    p = 0.5: the gradient of a norm, about    p = 1: every sample pulls equally hard, however far it is
///
/// Its constant goes with a sum over elements, not with their mean. Source: Geng et al. 2024 (arXiv:2406.14548), section 4;
/// Geng et al. 2025 (arXiv:2505.13447), equation 22.
struct adaptive_squared {
    static constexpr char const* name = "adaptive_squared";
    static constexpr bool constant_slope = false;
    double power = 1;  ///< p in [0, 1]
    double c = 0.01;   ///< > 0, in units of a squared norm
    ONESTEP_HD double value(double s, index_t) const { return s / scale(s); }
    ONESTEP_HD double slope(double s, index_t) const { return 2 / scale(s); }
    ONESTEP_HD double plain(double s, index_t d) const { return s / static_cast<double>(d); }
    void fields(auto&& visit) const {
        visit("power", power);
        visit("c", c);
    }
    friend bool operator==(adaptive_squared const&, adaptive_squared const&) = default;

private:
    ONESTEP_HD double scale(double s) const { return power == 1 ? s + c : ::pow(s + c, power); }
};

static_assert(distance<squared> && distance<pseudo_huber> && distance<adaptive_squared>);

}  // namespace onestep
