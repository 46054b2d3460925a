#pragma once
#include "../target/edm_preconditioned.hpp"
#include "flow_map_model.hpp"

namespace onestep {

/// A map rule made of any target: the network answers at (x_t, t, s) as a denoiser would, and x_s is where a step of DDIM leads with the
/// clean sample g that follows from its answer.
///
///     x_s = (sigma_s/sigma_t) x_t + (alpha_s - (sigma_s/sigma_t) alpha_t) g(x_t, t, s)        X(x, t, t) = x, exactly
///
/// With se = sigma/alpha and x_e = x/alpha, the noise level and the state of EDM, that is
///
///     x_e(s) = (se_s/se_t) x_e(t) + (1 - se_s/se_t) g
///
/// Not to be mistaken for a denoiser's step: g depends on s, and is E[x0 | x_t] only at s = t, where F is what the target says
/// (`local_target`). For s < t it is the clean sample towards which the whole flow from t to s leads.
///
///     ddim_rule{}                              consistency trajectory models, EDM's preconditioning inside
///     ddim_rule{trig_velocity{}}               "simple-EDM" of inductive moment matching: the same map with F of the other sign
///     ddim_rule{scaled_velocity{}}             its "Euler-FM", on rectified flow
///     ddim_rule{velocity{}}                    average_velocity, on rectified flow
///     ddim_rule{x0{}}                          its "identity"
///
/// The network reads x_t scaled as the target scales it and is told t and s of the process: targets' clocks, which may be infinite at the
/// data, do not count. `at` throws domain_error where the target says nothing about the clean sample at t > s.
/// Source: Kim et al. 2023 (arXiv:2310.02279), section 3; Zhou, Ermon, Song 2025 (arXiv:2503.07565), appendix C.5.
template <target Target = edm_preconditioned> class ddim_rule {
public:
    static constexpr char const* name = "ddim_rule";

    explicit ddim_rule(Target const& target = {}) : target_(target) {}

    conversion at(marginal const& t, marginal const& s) const {
        if (t.t == s.t) return {1, 0};
        conversion const clean = convert(target_, x0{}, t);
        double const kept = s.sigma / t.sigma, added = s.alpha - kept * t.alpha;
        return {kept + added * clean.x, added * clean.output};
    }
    double input_scale(marginal const& m) const { return input_scale_of(target_, m); }
    /// What the network says at s = t.
    Target const& local_target() const { return target_; }

    void fields(auto&& visit) const { visit("target", target_); }
    friend bool operator==(ddim_rule const&, ddim_rule const&) = default;

private:
    Target target_;
};

static_assert(map_rule<ddim_rule<>>);

}  // namespace onestep
