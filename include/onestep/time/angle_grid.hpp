#pragma once
#include "../process/sde.hpp"
#include "grid.hpp"

namespace onestep {

/// Equal steps in the angle of the path, tan(angle) = sigma / (sd alpha), sd = sigma_data: equal steps in t on trigonometric flow, and
/// the same noise levels on any other process. How `jump` spreads a few steps of a consistency model.
///
/// Starts at noise level sigma / alpha = `most` where the process begins above it, or at pure noise. Ends are exact.
/// Throws domain_error unless sigma_data > 0 and `most` lies above the noise level of the data end.
/// Source: Lu, Song 2024 (arXiv:2410.11081): two steps at angles of about pi / 2 and pi / 4.
struct angle_grid {
    static constexpr char const* name = "angle_grid";
    double sigma_data = 1;  ///< deviation of the data, > 0
    double most = 80;       ///< > 0, may be infinite: then all processes start at their noise end

    double time(process auto const& p, double from, double to, int steps, int i) const {
        if (!(sigma_data > 0)) raise<domain_error>(name, "sigma_data is " + to_string(sigma_data), "it must be > 0");
        double const begin = noise_to_signal(p, from), end = noise_to_signal(p, to);
        if (!(most > end)) raise<domain_error>(name, "most is " + to_string(most), "it must be > " + to_string(end));
        if (i == steps) return to;
        if (i == 0 && !(begin > most)) return from;
        double const first = std::atan(std::fmin(begin, most) / sigma_data), last = std::atan(end / sigma_data);
        double const level = sigma_data * std::tan(first + (last - first) * i / steps);
        return std::fmin(std::fmax(time_of_noise_to_signal(p, level), to), from);
    }
    void fields(auto&& visit) const {
        visit("sigma_data", sigma_data);
        visit("most", most);
    }
    friend bool operator==(angle_grid const&, angle_grid const&) = default;
};

}  // namespace onestep
