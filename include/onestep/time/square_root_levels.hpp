#pragma once
#include <cmath>

#include "curriculum.hpp"

namespace onestep {

/// Levels that grow as the square root of the training step:
///
///     N(k) = ceil(sqrt((k / steps) ((to + 1)^2 - from^2) + from^2) - 1) + 1
///
/// from `from` at k = 0 to `to` + 1; after `steps` it stays there. With two levels training is regression from pure noise to the data.
/// `levels` throws domain_error unless 2 <= from <= to and steps >= 1. Source: Song et al. 2023 (arXiv:2303.01469), appendix C.
struct square_root_levels {
    static constexpr char const* name = "square_root_levels";
    index_t from = 2, to = 150;  ///< 2 <= from <= to
    index_t steps = 800'000;     ///< training steps, >= 1

    index_t levels(index_t step) const {
        if (!(from >= 2 && from <= to))
            raise<domain_error>(name, "from is " + std::to_string(from) + " and to is " + std::to_string(to), "2 <= from <= to is needed");
        if (steps < 1) raise<domain_error>(name, "steps is " + std::to_string(steps), "it must be at least 1");
        double const done = std::fmin(std::fmax(static_cast<double>(step) / static_cast<double>(steps), 0), 1);
        double const first = static_cast<double>(from), last = static_cast<double>(to) + 1;
        return static_cast<index_t>(std::ceil(std::sqrt(done * (last * last - first * first) + first * first) - 1)) + 1;
    }
    void fields(auto&& visit) const {
        visit("from", from);
        visit("to", to);
        visit("steps", steps);
    }
    friend bool operator==(square_root_levels const&, square_root_levels const&) = default;
};

static_assert(curriculum<square_root_levels>);

}  // namespace onestep
