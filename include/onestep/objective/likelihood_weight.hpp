#pragma once
#include "weighting.hpp"

namespace onestep {

/// g^2 on the score, with g the diffusion coefficient of the process's SDE (process/sde.hpp): the loss bounds the negative log
/// likelihood. On x0 it is g^2 alpha^2 / sigma^4 = -d SNR / dt.
///
/// On the noise it is g^2 / sigma^2, which grows as 1 / t towards the data: draw times accordingly, or end the path before. Where it
/// is infinite training stops with a domain_error.
/// Source: Song et al. 2021 (arXiv:2101.09258), theorem 1; Kingma et al. 2021 (arXiv:2107.00630), equation 17.
struct likelihood_weight {
    static constexpr char const* name = "likelihood_weight";
    double on_x0(marginal const& m) const {
        // g^2 = 2 sigma W / alpha; so written alpha = 0 does no harm
        double const w = m.alpha * m.sigma_derivative - m.alpha_derivative * m.sigma;
        return 2 * w * m.alpha / (m.sigma * m.sigma * m.sigma);
    }
    void fields(auto&&) const {}
    friend bool operator==(likelihood_weight const&, likelihood_weight const&) = default;
};

static_assert(weighting<likelihood_weight>);

}  // namespace onestep
