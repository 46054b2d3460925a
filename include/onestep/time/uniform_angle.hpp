#pragma once
#include "../process/sde.hpp"
#include "density.hpp"

namespace onestep {

/// The angle of the path is uniform: tan(angle) = sigma / (sd alpha), sd = sigma_data, between the process's ends. On trigonometric flow
/// that is a uniform time; with sigma_data = 1 it is how v-diffusion draws its levels.
/// Throws domain_error unless sigma_data > 0.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), appendix; k-diffusion's "v-diffusion" density.
struct uniform_angle {
    static constexpr char const* name = "uniform_angle";
    double sigma_data = 1;  ///< > 0

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        double const first = angle(p, p.t_min()), last = angle(p, p.t_max());
        double const level = sigma_data * std::tan(first + (last - first) * uniform(s, row));
        return std::fmin(std::fmax(time_of_noise_to_signal(p, level), p.t_min()), p.t_max());
    }
    void fields(auto&& visit) const { visit("sigma_data", sigma_data); }
    friend bool operator==(uniform_angle const&, uniform_angle const&) = default;

private:
    double angle(process auto const& p, double t) const { return std::atan2(p.sigma(t), sigma_data * p.alpha(t)); }
};

}  // namespace onestep
