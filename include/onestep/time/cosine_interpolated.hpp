#pragma once
#include "../process/sde.hpp"
#include "density.hpp"

namespace onestep {

/// The cosine path's levels at uniform times, moved towards more noise for large images: by the shift of a small image at the noisy end
/// and that of a large one at the data. With u ~ U(0, 1), u = 0 at the noise,
///
///     log SNR = (1 - u) c(u, noise_low) + u c(u, noise_high)
///     c(u, d) = -2 log tan(a + (b - a) u) + shift,    shift = 2 log(d / image)
///
/// with a and b such that c runs from the level `high` to the level `low`; levels are sigma / alpha in units of sigma_data.
/// Levels beyond an end of the process are moved to that end. Throws domain_error unless 0 < low < high, both finite, and all
/// others > 0.
/// Source: Hoogeboom, Heek, Salimans 2023 (arXiv:2301.11093), section 3.1; bounds as in k-diffusion.
struct cosine_interpolated {
    static constexpr char const* name = "cosine_interpolated";
    double image = 64;                       ///< side of the images, in pixels
    double noise_low = 32, noise_high = 64;  ///< sides at which noise looks as the unshifted cosine path's
    double sigma_data = 1;                   ///< > 0
    double low = 1e-3, high = 1e3;           ///< noise-to-signal ratios, 0 < low < high

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(image > 0 && noise_low > 0 && noise_high > 0 && sigma_data > 0))
            raise<domain_error>(name,
                                "image is " + to_string(image) + ", noise_low is " + to_string(noise_low) + ", noise_high is " +
                                    to_string(noise_high) + " and sigma_data is " + to_string(sigma_data),
                                "all must be > 0");
        if (!(low > 0 && low < high && high < HUGE_VAL))
            raise<domain_error>(name, "low is " + to_string(low) + " and high is " + to_string(high),
                                "0 < low < high, both finite, is needed");
        double const u = uniform(s, row);
        double const log_level = (1 - u) * log_shifted(u, noise_low) + u * log_shifted(u, noise_high);
        return std::fmin(std::fmax(time_of_noise_to_signal(p, sigma_data * std::exp(log_level)), p.t_min()), p.t_max());
    }
    void fields(auto&& visit) const {
        visit("image", image);
        visit("noise_low", noise_low);
        visit("noise_high", noise_high);
        visit("sigma_data", sigma_data);
        visit("low", low);
        visit("high", high);
    }
    friend bool operator==(cosine_interpolated const&, cosine_interpolated const&) = default;

private:
    /// -c / 2, the logarithm of a level in units of sigma_data.
    double log_shifted(double u, double side) const {
        double const factor = side / image;  // levels of the unshifted path are `factor` times as large
        double const a = std::atan(high / sigma_data * factor), b = std::atan(low / sigma_data * factor);
        return std::log(std::tan(a + (b - a) * u) / factor);
    }
};

}  // namespace onestep
