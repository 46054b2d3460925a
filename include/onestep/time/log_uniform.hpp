#pragma once
#include "../process/sde.hpp"
#include "density.hpp"

namespace onestep {

/// The logarithm of the noise level sigma / alpha is uniform between two levels, on any process. Levels beyond an end of the process are
/// moved to that end. Throws domain_error unless 0 < low < high, both finite.
struct log_uniform {
    static constexpr char const* name = "log_uniform";
    double low = 0.002, high = 80;  ///< noise-to-signal ratios, 0 < low < high

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(low > 0 && low < high && high < HUGE_VAL))
            raise<domain_error>(name, "low is " + to_string(low) + " and high is " + to_string(high),
                                "0 < low < high, both finite, is needed");
        double const level = low * std::pow(high / low, uniform(s, row));
        return std::fmin(std::fmax(time_of_noise_to_signal(p, level), p.t_min()), p.t_max());
    }
    void fields(auto&& visit) const {
        visit("low", low);
        visit("high", high);
    }
    friend bool operator==(log_uniform const&, log_uniform const&) = default;
};

}  // namespace onestep
