#pragma once
#include <cmath>

#include "curriculum.hpp"

namespace onestep {

/// Intervals that double in equal parts of the training, from `from` to `to`:
///
///     N(k) = min(from 2^floor(k / K'), to) + 1,    K' = floor(steps / (log2 floor(to / from) + 1))
///
/// 11, 21, 41, ..., 1281 levels by default; after `steps` it stays at the last. `levels` throws domain_error unless 1 <= from <= to and
/// K' >= 1. Source: Song, Dhariwal 2023 (arXiv:2310.14189), section 3.4.
struct doubling {
    static constexpr char const* name = "doubling";
    index_t from = 10, to = 1280;  ///< intervals at the beginning and at the end, 1 <= from <= to
    index_t steps = 400'000;       ///< training steps

    index_t levels(index_t step) const {
        if (!(from >= 1 && from <= to))
            raise<domain_error>(name, "from is " + std::to_string(from) + " and to is " + std::to_string(to), "1 <= from <= to is needed");
        double const parts = std::log2(static_cast<double>(to / from)) + 1;
        auto const part = static_cast<index_t>(std::floor(static_cast<double>(steps) / parts));
        if (part < 1)
            raise<domain_error>(name, "steps is " + std::to_string(steps), "there must be at least one for each number of levels");
        index_t const past = step > 0 ? step / part : 0, doublings = past < 62 ? past : 62;
        return (from > (to >> doublings) ? to : from << doublings) + 1;
    }
    void fields(auto&& visit) const {
        visit("from", from);
        visit("to", to);
        visit("steps", steps);
    }
    friend bool operator==(doubling const&, doubling const&) = default;
};

static_assert(curriculum<doubling>);

}  // namespace onestep
