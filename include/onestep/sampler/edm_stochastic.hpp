#pragma once
#include "../process/sde.hpp"
#include "concept.hpp"

namespace onestep {

/// Heun's method in the noise level se = sigma / alpha, with noise added before each step and removed by it ("churn").
///
///     se^ = (1 + gamma) se_t,    x^ = x_t/alpha_t + noise_scale sqrt(se^^2 - se_t^2) z
///     d  = (x^ - D(x^, se^)) / se^         x' = x^ + (se_s - se^) d
///     d' = (x' - D(x', se_s)) / se_s       x_s/alpha_s = x^ + (se_s - se^) (d + d')/2
///
/// with gamma = min(churn / steps of the run, sqrt(2) - 1) where lowest <= se_t <= highest, else 0. Levels are never raised
/// above that of t_max, which the network was not trained on; published settings do not reach it. Where se_s = 0 or alpha_t = 0
/// the step is Euler's: x' itself. churn = 0 is Heun's method for the probability-flow ODE. On a discrete process raised levels lie
/// between those of its table, and the network is told fractions of an index.
///
/// The defaults are those published for ImageNet at 64 x 64; the best ones depend on data and network.
/// Throws domain_error for a step towards the noise and for fields out of range.
///
/// Cost: 2 evaluations a step, 1 in the step to the data, 3 tensors of x's shape.  Order: 2 at churn = 0
/// (tests/sampler/edm_stochastic.cpp).
/// Source: Karras et al. 2022 (arXiv:2206.00364), algorithm 2 and table 5.
struct edm_stochastic {
    static constexpr char const* name = "edm_stochastic";
    static constexpr int order = 2;
    int steps = 256;             ///< intervals of the grid, >= 1
    double churn = 40;           ///< S_churn, >= 0: levels are raised by the factor 1 + churn / steps
    double lowest = 0.05;        ///< S_tmin: no churn at lower levels
    double highest = 50;         ///< S_tmax: nor at higher ones
    double noise_scale = 1.003;  ///< S_noise: deviation of z, >= 0

    void step(auto& run, double t, double s) const {
        using value = typename std::remove_reference_t<decltype(run)>::value_type;
        using backend = typename std::remove_reference_t<decltype(run)>::backend_type;
        check(t, s);
        auto const& p = run.process();
        auto const x = run.x();
        double const level = raised(p, noise_to_signal(p, t), run.steps()), hat = renew(run, t, level);
        auto const here = run.predict(x, hat);
        // In units of x: x' = left x^ + pull D
        double const alpha_s = p.alpha(s), level_s = noise_to_signal(p, s);
        double const left = p.sigma(s) / p.sigma(hat), pull = alpha_s - p.alpha(hat) * left;
        if (level_s == 0 || level == HUGE_VAL) return run.advance(here, left, pull);
        // With D' predicted at x' that is x_s = left x^ + (pull - c) D + c D'
        double const c = alpha_s * (level / level_s - 1) / 2;
        auto const ahead = run.scratch();
        run.advance(here, data_step<value, backend, 0, 2>{{{{x, left, pull - c, {}}, {ahead, left, pull, {}}}}});
        run.advance(run.predict(ahead, s), data_step<value, backend, 1>{{{{x, 0, c, {{1}}}}}, {{x}}});
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("churn", churn);
        visit("lowest", lowest);
        visit("highest", highest);
        visit("noise_scale", noise_scale);
    }
    friend bool operator==(edm_stochastic const&, edm_stochastic const&) = default;

private:
    void check(double t, double s) const {
        if (!(s <= t)) raise<domain_error>(name, "a step goes from " + to_string(t) + " to " + to_string(s), "it must go towards the data");
        if (!(churn >= 0)) raise<domain_error>(name, "churn is " + to_string(churn), "it must be at least 0");
        if (!(noise_scale >= 0)) raise<domain_error>(name, "noise_scale is " + to_string(noise_scale), "it must be at least 0");
    }
    /// se^.
    double raised(auto const& p, double level, int run_steps) const {
        if (!(lowest <= level && level <= highest && level < HUGE_VAL)) return level;
        double const gamma = std::fmin(churn / run_steps, 0.41421356237309505);
        return std::fmax(level, std::fmin(level * (1 + gamma), noise_to_signal(p, p.t_max())));
    }
    /// Adds the noise that raises x from t to a level, and returns the time of that.
    double renew(auto& run, double t, double level) const {
        auto const& p = run.process();
        double const now = noise_to_signal(p, t);
        if (level == now) return t;
        double const hat = time_of_noise_to_signal(p, level), alpha = p.alpha(hat);
        affine_step churned(run.x());
        churned.add(alpha / p.alpha(t), run.x());
        churned.run(noise_scale * alpha * std::sqrt((level - now) * (level + now)), run.noise());
        return hat;
    }
};

}  // namespace onestep
