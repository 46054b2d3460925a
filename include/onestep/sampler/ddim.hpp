#pragma once
#include "../process/transition.hpp"
#include "concept.hpp"

namespace onestep {

/// x_s = x x_t + x0 D + noise z, z ~ N(0, I), with D the clean sample predicted at t.
struct ddim_step {
    double x = 1, x0 = 0, noise = 0;
};

/// Coefficients of a step of `ddim`. With r = SNR_t / SNR_s, so that the small variance is (1 - r) sigma_s^2,
///
///     x = (sigma_s/sigma_t) sqrt(1 - eta^2 (1 - r)),    x0 = alpha_s - alpha_t x,    noise = eta sigma_s sqrt(1 - r)
///
/// An eta that would ask for more noise than x_s has gets x = 0, noise = sigma_s. From sigma_t = 0 on (eta = 0 only) epsilon
/// is taken as 0, its mean there. Throws domain_error for eta < 0, and for s > t unless eta = 0.
template <process P> ddim_step ddim_step_of(P const& p, double t, double s, double eta) {
    if (!(eta >= 0)) raise<domain_error>("ddim_step_of", "eta is " + to_string(eta), "it must be at least 0");
    double const sigma = p.sigma(t), sigma_s = p.sigma(s);
    double predicted = 1, noise = 0;  // predicted: the share of sigma_s that is epsilon's
    if (eta != 0) {
        transition const posterior = transition_of(p, t, s);
        double const r = posterior.forward * posterior.x, square = (1 - eta) * (1 + eta) + eta * eta * r;
        predicted = square > 0 ? std::sqrt(square) : 0;
        noise = square > 0 ? eta * std::sqrt(posterior.small_variance) : sigma_s;
    }
    double const x = sigma == 0 ? 0 : sigma_s * predicted / sigma;
    return {x, p.alpha(s) - p.alpha(t) * x, noise};
}

/// Denoising diffusion implicit models, on any process.
///
///     x_s = alpha_s x0 + sqrt(sigma_s^2 - d^2) epsilon + d z,     d = eta sqrt(small variance of x_s given x_t and x0)
///
/// with x0 and epsilon = (x_t - alpha_t x0) / sigma_t predicted at t, epsilon of a limited x0 too. eta = 0 is the first-order
/// exponential integrator of the probability-flow ODE (DPM-Solver 1; Euler's method in sigma / alpha), eta = 1 ancestral
/// sampling with the small variance. At the data d = 0 and x_s = alpha_s x0. A step towards the noise inverts (eta = 0 only;
/// domain_error otherwise).
///
/// Cost: `steps` evaluations, 1 tensor of x's shape.  Order: 1; for eta > 0 in mean and variance (tests/sampler/ddim.cpp).
/// Source: Song, Meng, Ermon 2020 (arXiv:2010.02502), equations 12 and 16.
struct ddim {
    static constexpr char const* name = "ddim";
    static constexpr int order = 1;
    int steps = 50;  ///< intervals of the grid, >= 1
    double eta = 0;  ///< >= 0; beyond what sigma_s allows d is cut to sigma_s

    void step(auto& run, double t, double s) const {
        ddim_step const c = ddim_step_of(run.process(), t, s, eta);
        run.advance(run.predict(run.x(), t), c.x, c.x0, c.noise);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("eta", eta);
    }
    friend bool operator==(ddim const&, ddim const&) = default;
};

}  // namespace onestep
