#pragma once
#include "density.hpp"

namespace onestep {

/// t = t_min + (t_max - t_min) / (1 + exp(-(mean + deviation n))), n ~ N(0, 1): most weight in the middle of the path, none
/// at its ends. Throws domain_error unless deviation > 0.
/// Source: Esser et al. 2024 (arXiv:2403.03206), section 3.1; mean 0 and deviation 1 there.
struct logit_normal {
    static constexpr char const* name = "logit_normal";
    double mean = 0, deviation = 1;  ///< deviation > 0; a negative mean moves weight towards the data

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(deviation > 0)) raise<domain_error>(name, "deviation is " + to_string(deviation), "it must be > 0");
        double const low = p.t_min(), high = p.t_max();
        return low + (high - low) / (1 + std::exp(-(mean + deviation * static_cast<double>(normal_deviate(s, row)))));
    }
    void fields(auto&& visit) const {
        visit("mean", mean);
        visit("deviation", deviation);
    }
    friend bool operator==(logit_normal const&, logit_normal const&) = default;
};

}  // namespace onestep
