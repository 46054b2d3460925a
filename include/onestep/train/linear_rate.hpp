#pragma once
#include "rate.hpp"

namespace onestep {

/// Linear warm-up, then a straight line from 1 to `floor` at step `steps`, and `floor` from there on.
/// Source: Salimans, Ho 2022 (arXiv:2202.00512), appendix B: to 0 over each stage of a distillation.
struct linear_rate {
    static constexpr char const* name = "linear_rate";
    index_t steps = 10'000;  ///< total, warm-up included; > warmup
    index_t warmup = 0;      ///< >= 0
    double floor = 0;        ///< in [0, 1]
    /// Throws domain_error unless steps > warmup >= 0.
    double factor(index_t step) const {
        if (warmup < 0 || steps <= warmup)
            raise<domain_error>(name, "steps is " + std::to_string(steps) + " and warmup " + std::to_string(warmup),
                                "steps > warmup >= 0 is needed");
        if (step < warmup) return static_cast<double>(step + 1) / static_cast<double>(warmup);
        if (step >= steps) return floor;
        return 1 - (1 - floor) * static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("warmup", warmup);
        visit("floor", floor);
    }
    friend bool operator==(linear_rate const&, linear_rate const&) = default;
};

static_assert(rate_schedule<linear_rate>);

}  // namespace onestep
