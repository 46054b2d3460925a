#pragma once
/// The weight of a sample's loss.
#include <concepts>

#include "../core/spec.hpp"
#include "../process/concept.hpp"

namespace onestep {

/// A weight as a function of the process's numbers at the sample's time.
template <class W>
concept weighting = spec<W> && requires(W const& w, marginal const& m) {
    { w(m) } -> std::convertible_to<double>;
};

/// 1.
struct unit_weight {
    static constexpr char const* name = "unit_weight";
    double operator()(marginal const&) const { return 1; }
    void fields(auto&&) const {}
    friend bool operator==(unit_weight const&, unit_weight const&) = default;
};

/// Any function of t: time_weight{[](double t) { return 1 / (0.1 + t); }}. The expected gradient depends only on the
/// product of this weight and the density of times.
template <class Function> struct time_weight {
    static constexpr char const* name = "time_weight";
    explicit time_weight(Function f) : function(f) {}
    double operator()(marginal const& m) const { return function(m.t); }
    void fields(auto&&) const {}
    Function function;
};

static_assert(weighting<unit_weight>);

}  // namespace onestep
