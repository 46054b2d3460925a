#pragma once
/// Which of two neighbouring levels of many a training row looks at. To add your own, write `choose`.
#include <cmath>

#include "density.hpp"
#include "normal_quantile.hpp"

namespace onestep {

/// Levels 0 .. count() - 1 of noise, rising: `levels(i)` is a noise-to-signal ratio, and levels.interval_of(level) the interval that holds
/// one, or the outermost. A choice returns i for the interval from level i to level i + 1, a function of (stream, row) alone.
template <class C, class Levels>
concept level_choice = spec<C> && requires(C const& c, Levels const& levels, random_stream stream, index_t row) {
    { c.choose(levels, stream, row) } -> std::same_as<index_t>;
};

/// Every interval alike.
struct uniform_level {
    static constexpr char const* name = "uniform_level";
    index_t choose(auto const& levels, random_stream stream, index_t row) const {
        return static_cast<index_t>(below(stream, static_cast<std::uint64_t>(levels.count() - 1), row));
    }
    void fields(auto&&) const {}
    friend bool operator==(uniform_level const&, uniform_level const&) = default;
};

/// An interval with the probability that a log-normal noise level has to lie in it, given that it lies between the outermost levels:
///
///     p_i ~ erf((log se_{i+1} - mean) / (sqrt(2) deviation)) - erf((log se_i - mean) / (sqrt(2) deviation))
///
/// From one uniform number by the inverse of the distribution, at the same cost for any number of levels.
/// Throws domain_error unless deviation > 0 and the levels have some probability.
/// Source: Song, Dhariwal 2023 (arXiv:2310.14189), section 3.5.
struct log_normal_level {
    static constexpr char const* name = "log_normal_level";
    double mean = -1.1, deviation = 2;  ///< of log(sigma / alpha); deviation > 0

    index_t choose(auto const& levels, random_stream stream, index_t row) const {
        if (!(deviation > 0)) raise<domain_error>(name, "deviation is " + to_string(deviation), "it must be > 0");
        index_t const last = levels.count() - 1;
        double const low = (std::log(levels(0)) - mean) / deviation, high = (std::log(levels(last)) - mean) / deviation;
        // Above the mean everything is counted from the other side, so that no digits are lost.
        double const sign = low > 0 ? -1 : 1, begin = normal_probability(sign * low), end = normal_probability(sign * high);
        if (!(sign * (end - begin) > 0))
            raise<domain_error>(name, "mean is " + to_string(mean) + " and deviation is " + to_string(deviation),
                                "a level between " + to_string(levels(0)) + " and " + to_string(levels(last)) + " must be possible");
        double const z = sign * normal_quantile(begin + (end - begin) * uniform(stream, row));
        return levels.interval_of(std::exp(mean + deviation * z));
    }
    void fields(auto&& visit) const {
        visit("mean", mean);
        visit("deviation", deviation);
    }
    friend bool operator==(log_normal_level const&, log_normal_level const&) = default;
};

}  // namespace onestep
