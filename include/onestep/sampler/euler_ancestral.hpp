#pragma once
#include "ddim.hpp"

namespace onestep {

/// Euler's method in the noise level se = sigma / alpha down to a level below the wanted one, then noise up to it.
///
///     up = min(se_s, eta se_s sqrt(1 - se_s^2/se_t^2)),    down = sqrt(se_s^2 - up^2)
///     x_s/alpha_s = D + (down/se_t) (x_t/alpha_t - D) + noise_scale up z
///
/// With noise_scale = 1 that is the step of ddim{.eta = eta} on any process, alpha_t = 0 included. At the data x_s = alpha_s D.
/// Throws domain_error for a step towards the noise (unless eta = 0) and for fields out of range.
///
/// Cost: `steps` evaluations, 1 tensor of x's shape.  Order: 1 in mean and variance (tests/sampler/euler_ancestral.cpp).
/// Source: Crowson, k-diffusion, sample_euler_ancestral.
struct euler_ancestral {
    static constexpr char const* name = "euler_ancestral";
    static constexpr int order = 1;
    int steps = 30;          ///< intervals of the grid, >= 1
    double eta = 1;          ///< >= 0; at 0 it is Euler's method in se
    double noise_scale = 1;  ///< deviation of z, >= 0

    void step(auto& run, double t, double s) const {
        if (!(noise_scale >= 0)) raise<domain_error>(name, "noise_scale is " + to_string(noise_scale), "it must be at least 0");
        ddim_step const c = ddim_step_of(run.process(), t, s, eta);
        run.advance(run.predict(run.x(), t), c.x, c.x0, noise_scale * c.noise);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("eta", eta);
        visit("noise_scale", noise_scale);
    }
    friend bool operator==(euler_ancestral const&, euler_ancestral const&) = default;
};

}  // namespace onestep
