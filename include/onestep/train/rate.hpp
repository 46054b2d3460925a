#pragma once
/// Learning-rate schedules: a factor on the optimizer's rate as a function of the step.
#include <cmath>
#include <concepts>

#include "../core/error.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

template <class R>
concept rate_schedule = spec<R> && requires(R const& r, index_t step) {
    { r.factor(step) } -> std::same_as<double>;  // step counts from 0
};

/// Linear warm-up over `warmup` steps, then constant. warmup = 0: 1 from the start.
struct constant_rate {
    static constexpr char const* name = "constant_rate";
    index_t warmup = 0;  ///< steps, >= 0
    double factor(index_t step) const { return step < warmup ? static_cast<double>(step + 1) / static_cast<double>(warmup) : 1; }
    void fields(auto&& visit) const { visit("warmup", warmup); }
    friend bool operator==(constant_rate const&, constant_rate const&) = default;
};

/// Linear warm-up, then half a cosine from 1 to `floor` at step `steps`, and `floor` from there on.
/// Source: Loshchilov, Hutter 2016 (arXiv:1608.03983), one period.
struct cosine_rate {
    static constexpr char const* name = "cosine_rate";
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
        double const progress = static_cast<double>(step - warmup) / static_cast<double>(steps - warmup);
        return floor + (1 - floor) * 0.5 * (1 + std::cos(3.141592653589793 * progress));
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("warmup", warmup);
        visit("floor", floor);
    }
    friend bool operator==(cosine_rate const&, cosine_rate const&) = default;
};

static_assert(rate_schedule<constant_rate> && rate_schedule<cosine_rate>);

}  // namespace onestep
