#pragma once
#include "density.hpp"

namespace onestep {

/// Each of the levels t = 1 .. N of a discrete process with equal probability.
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239), algorithm 1.
struct discrete_density {
    static constexpr char const* name = "discrete_density";
    double sample(discrete_process auto const& p, random_stream s, index_t row) const {
        return 1 + static_cast<double>(below(s, static_cast<std::uint64_t>(p.steps()), row));
    }
    void fields(auto&&) const {}
    friend bool operator==(discrete_density const&, discrete_density const&) = default;
};

}  // namespace onestep
