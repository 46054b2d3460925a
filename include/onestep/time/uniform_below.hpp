#pragma once
#include "pair.hpp"

namespace onestep {

/// t ~ U(begin, end), then s ~ U(begin, t). Both bounds are shares of the process's time range.
/// Throws domain_error unless 0 <= begin < end <= 1.
/// Source: Zhou, Ermon, Song 2025 (arXiv:2503.07565), section 4.2 and table 5; (0, 0.994) on latents of ImageNet, (0.006, 0.994) on
/// CIFAR-10.
struct uniform_below {
    static constexpr char const* name = "uniform_below";
    double begin = 0, end = 0.994;

    time_pair sample(process auto const& p, random_stream stream, index_t row, index_t) const {
        if (!(begin >= 0 && begin < end && end <= 1))
            raise<domain_error>(name, "begin is " + to_string(begin) + " and end is " + to_string(end), "0 <= begin < end <= 1 is needed");
        double const low = p.t_min(), range = p.t_max() - low;
        double const t = begin + (end - begin) * uniform(stream, row), s = begin + (t - begin) * uniform(stream, row, 1);
        return {low + range * t, low + range * s};
    }
    void fields(auto&& visit) const {
        visit("begin", begin);
        visit("end", end);
    }
    friend bool operator==(uniform_below const&, uniform_below const&) = default;
};

}  // namespace onestep
