#pragma once
/// A network of any target on any process, as it looks from trigonometric flow at the same signal-to-noise ratio.
///
///     x = cos(a) x0 + sd sin(a) epsilon        tan a = sigma / (sd alpha)        x_t = x h / sd,    h = sqrt(sigma^2 + sd^2 alpha^2)
///
/// is the same sample in units in which its deviation is that of the data, sd, at every angle a. There the network reads scale x, is
/// told `time`, and what it says of the flow is
///
///     F_trig = p x + q F(scale x, time),    dx/da = sd F_trig,    x0 = cos(a) x - sd sin(a) F_trig
///
/// For trig_velocity on trigonometric flow p = 0, q = 1, scale = 1 / sd and time = a.
/// Source: Lu, Song 2024 (arXiv:2410.11081), section 3 and appendix B.
#include <cmath>
#include <concepts>

#include "../model/concept.hpp"
#include "../target/consistency_preconditioned.hpp"
#include "../target/edm_preconditioned.hpp"
#include "../target/trig_velocity.hpp"

namespace onestep {

/// Coefficients of a network in trigonometric flow at one time, or their derivatives with respect to log(sigma / alpha), which are
/// cos(a) sin(a) times those with respect to a.
struct trigonometric_view {
    double x = 0, output = 1;    ///< p, q
    double scale = 1, time = 0;  ///< what the network reads is scale x
};

/// a as (cos, sin).
struct flow_angle {
    double cosine = 1, sine = 0;
};

inline flow_angle flow_angle_of(marginal const& m, double sigma_data) {
    double const data = sigma_data * m.alpha, h = std::hypot(m.sigma, data);
    return {data / h, m.sigma / h};
}

/// The coefficients at time t of the model's process. Throws domain_error where the target says nothing about the flow.
template <class Model> trigonometric_view trigonometric_view_of(Model const& model, double sigma_data, double t) {
    marginal const m = marginal_at(model.process(), t);
    double const unit = std::hypot(m.sigma, sigma_data * m.alpha) / sigma_data;
    conversion const f = convert(model.target(), trig_velocity{sigma_data}, m);
    network_input const ask = model.input_at(t);
    return {f.x * unit, f.output, ask.scale * unit, ask.time};
}

/// sigma_data of a target that has one, else 0.
template <target Target> double sigma_data_of(Target const& target) {
    if constexpr (requires {
                      { target.sigma_data } -> std::convertible_to<double>;
                  })
        return target.sigma_data;
    else return 0;
}

namespace trigonometric_rule {

/// The derivative in the middle of five equally spaced values f_0 .. f_4, moved by u steps: of the polynomial through them. Its error
/// is of fourth order in the step.
struct five_points {
    double weights[5];

    explicit five_points(double u) {
        double const u2 = u * u, u3 = u2 * u;
        weights[0] = (2 * u3 - 3 * u2 - u + 1) / 12;
        weights[1] = (-4 * u3 + 3 * u2 + 8 * u - 4) / 6;
        weights[2] = (2 * u3 - 5 * u) / 2;
        weights[3] = (-4 * u3 - 3 * u2 + 8 * u + 4) / 6;
        weights[4] = (2 * u3 + 3 * u2 - u - 1) / 12;
    }
};

/// log(sigma / alpha) at t, or the nearest value with `reach` to spare on both sides: to the end of the process, and to the boundary
/// at and below which a target may not be defined.
template <class Model> double log_level_inside(Model const& model, double t, double reach) {
    auto const& process = model.process();
    double const at = std::log(noise_to_signal(process, t)), low = std::log(noise_to_signal(process, model.boundary())),
                 high = std::log(noise_to_signal(process, process.t_max()));
    return std::fmin(std::fmax(at, low + reach), high - reach);
}

/// d/dlog(sigma / alpha) of the coefficients by differences: five levels about t, or as near to it as the process allows.
template <class Model> trigonometric_view differences(Model const& model, double sigma_data, double t) {
    constexpr double step = 0x1p-10;  // rounding and truncation balance there, for functions that change over about 1 in the logarithm
    auto const& process = model.process();
    double const middle = log_level_inside(model, t, 2.5 * step);
    five_points const rule((std::log(noise_to_signal(process, t)) - middle) / step);
    trigonometric_view sum{0, 0, 0, 0};
    for (int k = 0; k < 5; ++k) {
        double const weight = rule.weights[k] / step;
        trigonometric_view const v =
            trigonometric_view_of(model, sigma_data, time_of_noise_to_signal(process, std::exp(middle + (k - 2) * step)));
        sum.x += weight * v.x;
        sum.output += weight * v.output;
        sum.scale += weight * v.scale;
        sum.time += weight * v.time;
    }
    return sum;
}

}  // namespace trigonometric_rule

/// d/dlog(sigma / alpha) of the coefficients at t, where 0 < sigma / alpha is finite: exact for the targets whose coefficients do not
/// change (trig_velocity, edm_preconditioned, consistency_preconditioned with sigma_min = 0), else by differences, right to about 1e-11
/// of the coefficients.
template <consistency_map Model> trigonometric_view trigonometric_slope_of(Model const& model, double sigma_data, double t) {
    using Target = std::remove_cvref_t<decltype(model.target())>;
    auto const& target = model.target();
    if (sigma_data_of(target) == sigma_data) {
        if constexpr (std::same_as<Target, trig_velocity>) {
            flow_angle const a = flow_angle_of(marginal_at(model.process(), t), sigma_data);
            return {0, 0, 0, a.cosine * a.sine};
        } else if constexpr (std::same_as<Target, edm_preconditioned>) {
            return {0, 0, 0, 0.25};
        } else if constexpr (std::same_as<Target, consistency_preconditioned>) {
            if (target.sigma_min == 0) return {0, 0, 0, 0.25};
        }
    }
    return trigonometric_rule::differences(model, sigma_data, t);
}

}  // namespace onestep
