#pragma once
/// Where training looks. A density turns the numbers of a stream into times; row r of a step always sees
/// the same time, whatever the batch around it.
#include <cmath>
#include <concepts>

#include "../core/error.hpp"
#include "../core/random.hpp"
#include "../core/spec.hpp"

namespace onestep {

template <class D>
concept time_density = spec<D> && requires(D const& d, random_stream s, index_t row, double low, double high) {
    { d.sample(s, row, low, high) } -> std::same_as<double>;  // in [low, high]
};

/// t ~ U(low, high).
struct uniform_density {
    static constexpr char const* name = "uniform_density";
    double sample(random_stream s, index_t row, double low, double high) const { return low + (high - low) * uniform(s, row); }
    void fields(auto&&) const {}
    friend bool operator==(uniform_density const&, uniform_density const&) = default;
};

/// t = low + (high - low) / (1 + exp(-(mean + deviation n))), n ~ N(0, 1): most weight in the middle of the path, none at its ends.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1; mean 0 and deviation 1 there.
struct logit_normal {
    static constexpr char const* name = "logit_normal";
    double mean = 0, deviation = 1;  ///< deviation > 0; a negative mean moves weight towards the data
    double sample(random_stream s, index_t row, double low, double high) const {
        if (!(deviation > 0)) raise<domain_error>(name, "deviation is " + to_string(deviation), "it must be > 0");
        return low + (high - low) / (1 + std::exp(-(mean + deviation * static_cast<double>(normal_deviate(s, row)))));
    }
    void fields(auto&& visit) const {
        visit("mean", mean);
        visit("deviation", deviation);
    }
    friend bool operator==(logit_normal const&, logit_normal const&) = default;
};

static_assert(time_density<uniform_density> && time_density<logit_normal>);

}  // namespace onestep
