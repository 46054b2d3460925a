#pragma once
/// Scalars of exponential integrators. In half the log-SNR, lambda = log(alpha / sigma), the linear part of the
/// probability-flow ODE is solved exactly; what remains is an integral over predicted clean samples D or noise E: from lambda_t
/// to lambda_s = lambda_t + h, with theta the fraction of the step,
///
///     x_s = (sigma_s / sigma_t) x + alpha_s h integral_0^1 exp(-(1 - theta) h) D dtheta
///         = (alpha_s / alpha_t) x - sigma_s h integral_0^1 exp((1 - theta) h) E dtheta
///
/// Source: Lu et al. 2022 (arXiv:2206.00927), proposition 3.1; Lu et al. 2022 (arXiv:2211.01095), proposition 4.1; Hochbruck, Ostermann
/// 2010 (doi:10.1017/S0962492910000048), section 2.
#include <array>
#include <cmath>

#include "../core/error.hpp"
#include "../core/spec.hpp"
#include "../process/concept.hpp"

namespace onestep {

/// phi_k(z) = integral over [0, 1] of exp((1 - theta) z) theta^(k - 1) / (k - 1)!, so that phi_1(z) = (exp(z) - 1) / z and
/// phi_k(0) = 1 / k!. k >= 1. Relative error below 1e-14 for k <= 5; phi_k(-infinity) = 0.
inline double phi(int k, double z) {
    double factorial = 1;
    for (int j = 2; j <= k; ++j) factorial *= j;
    if (std::fabs(z) < 2) {  // the sum of z^j / (j + k)!
        double term = 1 / factorial, sum = term;
        for (int j = 1; j <= 28; ++j) sum += term *= z / (j + k);
        return sum;
    }
    double value = std::expm1(z) / z, inverse = 1;
    for (int j = 1; j < k; ++j) value = (value - (inverse /= j)) / z;
    return value;
}

/// Weights w_j with integral over [0, 1] of exp((1 - theta) z) P(theta) = sum of w_j P(node_j), exact for polynomials P of degree below
/// `count`, <= 4. The nodes must differ. They sum to phi_1(z).
inline std::array<double, 4> exponential_weights(double z, std::array<double, 4> const& node, int count) {
    std::array<double, 4> weight{};
    weight[0] = phi(1, z);
    for (int j = 1; j < count; ++j) {
        std::array<double, 4> power{1};  // the product of (theta - node_m) / (node_j - node_m), by powers of theta
        int degree = 0;
        for (int m = 0; m < count; ++m) {
            if (m == j) continue;
            double const scale = 1 / (node[static_cast<std::size_t>(j)] - node[static_cast<std::size_t>(m)]);
            ++degree;
            for (auto k = static_cast<std::size_t>(degree); k > 0; --k)
                power[k] = scale * (power[k - 1] - node[static_cast<std::size_t>(m)] * power[k]);
            power[0] *= -scale * node[static_cast<std::size_t>(m)];
        }
        double sum = 0, factorial = 1;
        for (int k = 0; k < count; ++k) {
            sum += power[static_cast<std::size_t>(k)] * factorial * phi(k + 1, z);
            factorial *= k + 1;
        }
        weight[static_cast<std::size_t>(j)] = sum;
        weight[0] -= sum;
    }
    return weight;
}

/// A step from t to s in these scalars. Of first order, D being constant, it is x_s = left x + first D.
struct log_snr_step {
    double from = 0;  ///< lambda_t, -infinity where alpha_t = 0
    double h = 0;     ///< lambda_s - lambda_t: positive towards the data, infinite where alpha_t or sigma_s is 0
    double alpha_t = 1, sigma_t = 1, alpha_s = 1, sigma_s = 0;
    double left = 0;   ///< sigma_s / sigma_t
    double first = 0;  ///< alpha_s (1 - exp(-h)) = alpha_s - alpha_t left

    bool is_finite() const { return std::isfinite(h); }
};

/// The step from t to s of a solver called `name`. Throws domain_error at sigma_t = 0, where x = alpha x0 says nothing of the noise
/// and a step in log-SNR has no start.
template <process P> log_snr_step log_snr_step_of(char const* name, P const& p, double t, double s) {
    log_snr_step step{p.log_snr(t) / 2, 0, p.alpha(t), p.sigma(t), p.alpha(s), p.sigma(s), 0, 0};
    if (step.sigma_t == 0)
        raise<domain_error>(name, "a step starts at t = " + to_string(t) + " with sigma = 0",
                            "steps in log-SNR start where there is noise; begin an inversion at a later time");
    step.h = p.log_snr(s) / 2 - step.from;
    step.left = step.sigma_s / step.sigma_t;
    step.first = step.is_finite() ? -step.alpha_s * std::expm1(-step.h) : step.alpha_s - step.alpha_t * step.left;
    return step;
}

/// The two usual ways to weigh the slope D' of the clean sample, taken between two predictions, in a step of second order:
///
///     midpoint    (1 - exp(-h)) / 2           as if D had the value that it has in the middle of the step all along
///     heun        h phi_2(-h)                 exact where D is a straight line in lambda
enum class second_order { midpoint, heun };

inline char const* to_string(second_order form) { return form == second_order::midpoint ? "midpoint" : "heun"; }

/// The weight of D' = dD / dtheta in a step of length h, without alpha_s.
inline double slope_weight(second_order form, double h) { return form == second_order::midpoint ? -std::expm1(-h) / 2 : h * phi(2, -h); }

}  // namespace onestep
