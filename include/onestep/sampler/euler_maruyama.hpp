#pragma once
#include "../process/sde.hpp"
#include "ddim.hpp"

namespace onestep {

/// The Euler-Maruyama method for the reverse-time SDE.
///
///     dx = [f x - (1 + eta^2)/2 g^2 score] dt + eta g dw        score = (alpha D - x) / sigma^2
///
/// f and g: sde.hpp. Every eta has the process's marginals: eta = 1 is the reverse of the forward process, eta = 0 the
/// probability-flow ODE. f is infinite where alpha_t = 0 and g^2 / sigma^2 where sigma = 0: a step from alpha_t = 0 or to
/// sigma_s = 0 is the exact one for constant D, x_s = alpha_s D + sigma_s z (eta = 0: with the predicted noise for z).
/// Throws domain_error for a step towards the noise and for eta < 0.
///
/// Cost: `steps` evaluations, 1 tensor of x's shape.  Order: 1 in mean and variance
/// (tests/sampler/euler_maruyama.cpp).
/// Source: Song et al. 2021 (arXiv:2011.13456), equation 6 and appendix G; the family in eta Zhang, Chen 2022 (arXiv:2204.13902).
struct euler_maruyama {
    static constexpr char const* name = "euler_maruyama";
    static constexpr int order = 1;
    int steps = 1000;     ///< intervals of the grid, >= 1
    double eta = 1;       ///< >= 0
    bool denoise = true;  ///< no noise is added on the last step of the run

    void step(auto& run, double t, double s) const {
        if (!(s <= t)) raise<domain_error>(name, "a step goes from " + to_string(t) + " to " + to_string(s), "it must go towards the data");
        if (!(eta >= 0)) raise<domain_error>(name, "eta is " + to_string(eta), "it must be at least 0");
        ddim_step c = coefficients(run.process(), t, s);
        if (denoise && run.index() + 1 == run.steps()) c.noise = 0;
        run.advance(run.predict(run.x(), t), c.x, c.x0, c.noise);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("eta", eta);
        visit("denoise", denoise);
    }
    friend bool operator==(euler_maruyama const&, euler_maruyama const&) = default;

private:
    template <process P> ddim_step coefficients(P const& p, double t, double s) const {
        double const alpha = p.alpha(t), sigma = p.sigma(t), h = t - s;
        if (alpha == 0 || p.sigma(s) == 0) return ddim_step_of(p, t, s, eta > 0 ? 1 : 0);
        double const g2 = onestep::diffusion_squared(p, t), pull = h * (1 + eta * eta) / 2 * g2 / (sigma * sigma);
        return {1 - h * onestep::drift(p, t) - pull, pull * alpha, eta * std::sqrt(h * g2)};
    }
};

}  // namespace onestep
