#pragma once
#include <cmath>

#include "../core/spec.hpp"
#include "concept.hpp"

namespace onestep {

/// A quarter turn from data to unit noise.
///
///     x_t = cos(pi t / 2) x0 + sin(pi t / 2) epsilon,    0 <= t <= 1
///
/// alpha^2 + sigma^2 = 1. The second half mirrors the first bit for bit: alpha(t) = sigma(1 - t) wherever 1 - t is exact.
///
/// Source: Albergo, Vanden-Eijnden 2023 (arXiv:2209.15571).
struct cosine_flow {
    static constexpr char const* name = "cosine_flow";

    double alpha(double t) const { return t < 0.5 ? std::cos(quarter * t) : std::sin(quarter * (1 - t)); }
    double sigma(double t) const { return t < 0.5 ? std::sin(quarter * t) : std::cos(quarter * (1 - t)); }
    double alpha_derivative(double t) const { return -quarter * sigma(t); }
    double sigma_derivative(double t) const { return quarter * alpha(t); }
    /// -2 log tan(pi t / 2): +infinity at t = 0 and -infinity at t = 1.
    double log_snr(double t) const { return t < 0.5 ? -2 * std::log(std::tan(quarter * t)) : 2 * std::log(std::tan(quarter * (1 - t))); }
    double time_of_log_snr(double value) const {
        return value > 0 ? std::atan(std::exp(-value / 2)) / quarter : 1 - std::atan(std::exp(value / 2)) / quarter;
    }
    double t_min() const { return 0; }
    double t_max() const { return 1; }

    void fields(auto&&) const {}
    friend bool operator==(cosine_flow const&, cosine_flow const&) = default;

private:
    static constexpr double quarter = 1.5707963267948966;  // pi / 2
};

static_assert(process<cosine_flow>);

}  // namespace onestep
