#pragma once
#include "convert.hpp"
#include "edm_preconditioned.hpp"

namespace onestep {

/// EDM's preconditioning, shifted so that the clean sample is x itself at the level sigma_min instead of 0. With se = sigma/alpha,
/// sd = sigma_data, sm = sigma_min and x_e = x_t / alpha:
///
///     x0 = c_skip x_e + c_out F,    c_skip = sd^2 / ((se - sm)^2 + sd^2),    c_out = sd (se - sm) / sqrt(se^2 + sd^2)
///     the network reads x_e / sqrt(se^2 + sd^2) and is told log(se) / 4
///
/// The denominator of c_out has se, not se - sm. With sigma_min = 0 it is `edm_preconditioned`. Below sigma_min the sample counts as
/// clean: x0 = x_e. On any process; the members throw domain_error unless sigma_data > 0 and sigma_min >= 0.
/// Source: Song et al. 2023 (arXiv:2303.01469), appendix C.
struct consistency_preconditioned {
    static constexpr char const* name = "consistency_preconditioned";
    double sigma_data = 0.5;   ///< > 0
    double sigma_min = 0.002;  ///< >= 0, a noise-to-signal ratio

    target_weights weights(marginal const& m) const {
        conversion const c = clean(m);
        // F = (x0 - c.x x_t) / c.output
        return {(1 - c.x * m.alpha) / c.output, -c.x * m.sigma / c.output};
    }
    /// x0 = x * x_t + output * F, finite at every level: {1 / alpha, 0} up to sigma_min.
    conversion clean(marginal const& m) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        if (!(sigma_min >= 0)) raise<domain_error>(name, "sigma_min is " + to_string(sigma_min), "it must not be negative");
        // Times alpha throughout, so that alpha = 0 does no harm.
        double const above = m.sigma - sigma_min * m.alpha, data = sigma_data * m.alpha, length = std::hypot(above, data);
        if (!(above > 0)) return {1 / m.alpha, 0};
        return {m.alpha * (sigma_data / length) * (sigma_data / length), sigma_data * above / std::hypot(m.sigma, data)};
    }
    double input_scale(marginal const& m) const { return edm_preconditioned{sigma_data}.input_scale(m); }
    double network_time(marginal const& m) const { return edm_preconditioned{sigma_data}.network_time(m); }

    void fields(auto&& visit) const {
        visit("sigma_data", sigma_data);
        visit("sigma_min", sigma_min);
    }
    friend bool operator==(consistency_preconditioned const&, consistency_preconditioned const&) = default;
};

static_assert(target<consistency_preconditioned> && scales_input<consistency_preconditioned>);

}  // namespace onestep
