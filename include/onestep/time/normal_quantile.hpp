#pragma once
#include <cmath>

namespace onestep {

/// The standard normal distribution function.
inline double normal_probability(double z) { return std::erfc(-z * 0.70710678118654752) / 2; }

/// Its inverse for 0 < p < 1: the z that a standard normal number lies below with probability p, about as exact as p itself is. An
/// approximation to 5e-4, and two steps of Halley's method. Cost: a logarithm, two error functions, two exponentials.
/// Source of the approximation: Hastings 1955, as Abramowitz and Stegun print it, equation 26.2.23.
inline double normal_quantile(double p) {
    double const tail = std::fmin(p, 1 - p), t = std::sqrt(-2 * std::log(tail));
    double z = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for (int step = 0; step < 2; ++step) {
        double const off = (normal_probability(z) - tail) * 2.5066282746310005 * std::exp(z * z / 2);  // in units of z
        z -= off / (1 + z * off / 2);
    }
    return p < 0.5 ? z : -z;
}

}  // namespace onestep
