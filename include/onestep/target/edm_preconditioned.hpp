#pragma once
#include "concept.hpp"

namespace onestep {

/// The network of EDM: unit variance in and out at every noise level se = sigma / alpha.
///
///     D(x) = c_skip x_e + c_out F(c_in x_e, log(se) / 4),    x_e = x_t / alpha
///     c_skip = sd^2 / (se^2 + sd^2)     c_out = se sd / sqrt(se^2 + sd^2)     c_in = 1 / sqrt(se^2 + sd^2)
///
/// D is the prediction of x0, so F = (x0 - c_skip x_e) / c_out. Written without the difference, with h = sqrt(sigma^2 + sd^2 alpha^2),
///
///     F = (sigma / (sd h)) x0 - (sd alpha / h) epsilon
///
/// which is right at both ends: -epsilon at sigma = 0 and x0 / sd at alpha = 0. It holds on any process, and errors never
/// grow by more than sd in x0. With sd = 1 and preserved variance F is minus `v_prediction`.
///
/// sigma_data (sd) is the root mean square of the data: 0.5 for natural images in [-1, 1]. `weights` and `input_scale`
/// throw domain_error unless it is > 0. At sigma = 0 and at alpha = 0 the network's time is infinite (`has_network_time`).
/// Source: Karras et al. 2022 (arXiv:2206.00364), table 1 and appendix B.6.
struct edm_preconditioned {
    static constexpr char const* name = "edm_preconditioned";
    double sigma_data = 0.5;  ///< > 0

    target_weights weights(marginal const& m) const {
        double const h = length(m);
        return {m.sigma / (sigma_data * h), -sigma_data * m.alpha / h};
    }
    /// c_in / alpha.
    double input_scale(marginal const& m) const { return 1 / length(m); }
    /// log(sigma / alpha) / 4.
    double network_time(marginal const& m) const { return (std::log(m.sigma) - std::log(m.alpha)) / 4; }

    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(edm_preconditioned const&, edm_preconditioned const&) = default;

private:
    double length(marginal const& m) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        return std::hypot(m.sigma, sigma_data * m.alpha);
    }
};

static_assert(target<edm_preconditioned> && scales_input<edm_preconditioned> && tells_network_time<edm_preconditioned>);

}  // namespace onestep
