#pragma once
#include "../core/number_list.hpp"
#include "../process/sde.hpp"
#include "grid.hpp"

namespace onestep {

/// Noise levels sigma / alpha given as a list, from noise to data, for any number of steps: between two entries log sigma
/// is linear over the position in the list. The last entry stands for the data; the grid ends at the process's t_min in
/// its place.
///
///     onestep::sigma_grid{{80, 8, 1, 0.1, 0.002}}   // four steps stop at 80, 8, 1, 0.1, t_min; eight also between
///
/// Throws domain_error for fewer than two levels, levels that are not positive or do not fall, and a first level above
/// the process's start by more than 0.1 % (lists are published to a few digits; within that, t_max is meant).
/// Source: Sabour, Fidler, Kreis 2024 (arXiv:2404.14507), whose lists stand below.
struct sigma_grid {
    static constexpr char const* name = "sigma_grid";
    std::vector<double> sigmas;

    double time(process auto const& p, double from, double to, int steps, int i) const {
        if (sigmas.size() < 2) raise<domain_error>(name, std::to_string(sigmas.size()) + " levels were given", "at least two are needed");
        for (std::size_t k = 0; k < sigmas.size(); ++k)
            if (!(sigmas[k] > 0 && sigmas[k] < HUGE_VAL) || (k > 0 && !(sigmas[k] < sigmas[k - 1])))
                raise<domain_error>(name, "level " + std::to_string(k) + " is " + to_string(sigmas[k]), "levels must be positive and fall");
        double const start = noise_to_signal(p, from);
        if (sigmas[0] > start * 1.001)
            raise<domain_error>(name, "the first level is " + to_string(sigmas[0]),
                                "the process starts at noise level " + to_string(start));
        if (i == steps) return to;
        double const place = static_cast<double>(i) * static_cast<double>(sigmas.size() - 1) / steps;
        auto const below = static_cast<std::size_t>(place);
        double const fraction = place - static_cast<double>(below);
        double const level =
            fraction == 0 ? sigmas[below] : std::exp(std::log(sigmas[below]) * (1 - fraction) + std::log(sigmas[below + 1]) * fraction);
        return level >= start * (1 - 1e-12) ? from : time_of_noise_to_signal(p, level);
    }
    void fields(auto&& visit) const { visit("sigmas", number_list(sigmas)); }
    friend bool operator==(sigma_grid const&, sigma_grid const&) = default;
};

/// Optimised levels for ten steps with known models, for latents scaled as those models scale them.
/// Source: Sabour, Fidler, Kreis 2024 (arXiv:2404.14507), table 3.
namespace align_your_steps {
inline sigma_grid stable_diffusion_1_5() { return {{14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029}}; }
inline sigma_grid stable_diffusion_xl() { return {{14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029}}; }
inline sigma_grid stable_video_diffusion() { return {{700, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002}}; }
inline sigma_grid deepfloyd_stage_1() { return {{160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006}}; }
}  // namespace align_your_steps

}  // namespace onestep
