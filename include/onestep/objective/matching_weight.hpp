#pragma once
#include "weighting.hpp"

namespace onestep {

/// The weight of inductive moment matching at t: that of a weighted evidence bound, times alpha^a / (alpha^2 + sigma^2),
///
///     w = 1/2 sigmoid(b - lambda) (-dlambda/dt) alpha^a / (alpha^2 + sigma^2)          lambda = log(alpha^2 / sigma^2)
///       = sigma (alpha sigma' - alpha' sigma) alpha^(a - 1) / ((sigma^2 + e^-b alpha^2) (alpha^2 + sigma^2))
///
/// finite everywhere for a >= 1. A function of t as such: it belongs to the space that is regressed, whatever that is.
/// Throws domain_error unless exponent >= 1.
/// Source: Zhou, Ermon, Song 2025 (arXiv:2503.07565), equation 13 and appendix C.9; (a, b) = (1, 5) on CIFAR-10, (1, 4) and (2, 4) on
/// ImageNet, where 2 is better for several steps and 1 for one.
struct matching_weight {
    static constexpr char const* name = "matching_weight";
    double exponent = 1;  ///< a >= 1
    double bias = 4;      ///< b

    double operator()(marginal const& m) const {
        if (!(exponent >= 1)) raise<domain_error>(name, "exponent is " + to_string(exponent), "it must be at least 1");
        double const noise = m.sigma * m.sigma, signal = m.alpha * m.alpha;
        double const turn = m.alpha * m.sigma_derivative - m.alpha_derivative * m.sigma;
        return m.sigma * turn * std::pow(m.alpha, exponent - 1) / ((noise + std::exp(-bias) * signal) * (signal + noise));
    }
    void fields(auto&& visit) const {
        visit("exponent", exponent);
        visit("bias", bias);
    }
    friend bool operator==(matching_weight const&, matching_weight const&) = default;
};

static_assert(weighting<matching_weight>);

}  // namespace onestep
