#pragma once
#include "../process/sde.hpp"
#include "density.hpp"

namespace onestep {

/// The noise level is log-normal: log(sigma / alpha) = mean + deviation n, n ~ N(0, 1), on any process. Levels beyond an end
/// of the process are moved to that end. Throws domain_error unless deviation > 0.
/// Source: Karras et al. 2022 (arXiv:2206.00364), table 1; (-1.2, 1.2) there. Consistency training: (-1.1, 2), Song, Dhariwal
/// 2023 (arXiv:2310.14189).
struct log_normal {
    static constexpr char const* name = "log_normal";
    double mean = -1.2, deviation = 1.2;  ///< of the logarithm; deviation > 0

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(deviation > 0)) raise<domain_error>(name, "deviation is " + to_string(deviation), "it must be > 0");
        double const level = std::exp(mean + deviation * static_cast<double>(normal_deviate(s, row)));
        return std::fmin(std::fmax(time_of_noise_to_signal(p, level), p.t_min()), p.t_max());
    }
    void fields(auto&& visit) const {
        visit("mean", mean);
        visit("deviation", deviation);
    }
    friend bool operator==(log_normal const&, log_normal const&) = default;
};

}  // namespace onestep
