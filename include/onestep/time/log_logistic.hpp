#pragma once
#include "../process/sde.hpp"
#include "density.hpp"

namespace onestep {

/// The noise level is log-logistic: log(sigma / alpha) = mean + scale l, l of the logistic distribution, which has heavier tails than the
/// normal one. Only levels that the process has are drawn. Throws domain_error unless scale > 0.
/// Source: k-diffusion's training densities (Crowson et al. 2024, arXiv:2401.11605).
struct log_logistic {
    static constexpr char const* name = "log_logistic";
    double mean = 0, scale = 1;  ///< of the logarithm; scale > 0

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(scale > 0)) raise<domain_error>(name, "scale is " + to_string(scale), "it must be > 0");
        double const low = below_level(noise_to_signal(p, p.t_min())), high = below_level(noise_to_signal(p, p.t_max()));
        double const u = low + (high - low) * uniform(s, row), level = std::exp(mean + scale * (std::log(u) - std::log1p(-u)));
        return std::fmin(std::fmax(time_of_noise_to_signal(p, level), p.t_min()), p.t_max());
    }
    void fields(auto&& visit) const {
        visit("mean", mean);
        visit("scale", scale);
    }
    friend bool operator==(log_logistic const&, log_logistic const&) = default;

private:
    /// The distribution function.
    double below_level(double level) const { return 1 / (1 + std::exp((mean - std::log(level)) / scale)); }
};

}  // namespace onestep
