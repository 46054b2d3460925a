#pragma once
#include <cmath>

#include "../core/error.hpp"
#include "concept.hpp"

namespace onestep {

/// The straight path between data and noise.
///
///     x_t = (1 - t) x0 + t epsilon,    0 <= t <= 1
///
/// The velocity of a pair is epsilon - x0 at every t. Papers that run time from noise to data (rectified flow, SD3's
/// figures) map by t -> 1 - t, which flips the sign of the velocity.
///
/// Source: Liu, Gong, Liu 2022 (arXiv:2209.03003); Lipman et al. 2022 (arXiv:2210.02747).
struct rectified_flow {
    static constexpr char const* name = "rectified_flow";

    double alpha(double t) const { return 1 - t; }
    double sigma(double t) const { return t; }
    double alpha_derivative(double) const { return -1; }
    double sigma_derivative(double) const { return 1; }
    /// +infinity at t = 0 and -infinity at t = 1.
    double log_snr(double t) const { return 2 * (std::log1p(-t) - std::log(t)); }
    double time_of_log_snr(double value) const { return 1 / (1 + std::exp(value / 2)); }
    double t_min() const { return 0; }
    double t_max() const { return 1; }

    void fields(auto&&) const {}
    friend bool operator==(rectified_flow const&, rectified_flow const&) = default;
};

static_assert(process<rectified_flow>);

}  // namespace onestep
