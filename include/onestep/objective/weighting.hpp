#pragma once
/// The weight of a sample's loss: a function of the process's numbers at the sample's time.
///
///     w(m)         multiplies the squared residual in whatever space is regressed
///     w.on_x0(m)   multiplies |predicted x0 - x0|^2; regressed in another space, the loss is divided by how much residuals of x0
///                  grow on the way there, so that it means the same in all of them
///
/// The expected gradient depends only on the product of the weight and the density of times.
#include <concepts>

#include "../core/spec.hpp"
#include "../target/convert.hpp"
#include "../target/x0.hpp"

namespace onestep {

template <class W>
concept weighs_in_space = requires(W const& w, marginal const& m) {
    { w(m) } -> std::convertible_to<double>;
};
template <class W>
concept weighs_x0 = requires(W const& w, marginal const& m) {
    { w.on_x0(m) } -> std::same_as<double>;
};
template <class W>
concept weighting = spec<W> &&(weighs_in_space<W> || weighs_x0<W>);

/// The multiplier of the squared residual in a space, where a residual of x0 becomes r - s alpha / sigma times itself for a space
/// r x0 + s epsilon: by -alpha / sigma that of the noise, by (alpha^2 + sigma^2) / sigma that of v.
///
/// Where sigma or alpha is 0 a weight that is given on x0 is the limit there, as far as there is one.
/// Throws domain_error where the weight grows beyond 1e30.
template <weighting Weighting, target Space> double weight_in(Weighting const& weight, Space const& space, marginal const& m) {
    if constexpr (weighs_x0<Weighting>) {
        if constexpr (requires {
                          { weight.is_one(m) } -> std::same_as<bool>;
                      })
            if (weight.is_one(m)) return 1;
        // So near to an end that the quotient is its own limit, so far from it that fourth powers stay in range.
        constexpr double near = 1e-60;
        marginal inside = m;
        inside.alpha = std::fmax(m.alpha, near * m.sigma);
        inside.sigma = std::fmax(m.sigma, near * m.alpha);
        double const growth = amplification(x0{}, space, inside), value = weight.on_x0(inside) / (growth * growth);
        if (!(value <= 1e30))
            raise<domain_error>(std::string(Weighting::name) + " in the space " + Space::name,
                                "t is " + to_string(m.t) + " with alpha = " + to_string(m.alpha) + ", sigma = " + to_string(m.sigma),
                                "the weight is infinite there; regress in another space or keep the density away from this time");
        return value;
    } else {
        return static_cast<double>(weight(m));
    }
}

/// 1 in the space that is regressed.
struct unit_weight {
    static constexpr char const* name = "unit_weight";
    double operator()(marginal const&) const { return 1; }
    void fields(auto&&) const {}
    friend bool operator==(unit_weight const&, unit_weight const&) = default;
};

/// Any function of t, in the space that is regressed: time_weight{[](double t) { return 1 / (0.1 + t); }}.
template <class Function> struct time_weight {
    static constexpr char const* name = "time_weight";
    explicit time_weight(Function f) : function(f) {}
    double operator()(marginal const& m) const { return function(m.t); }
    void fields(auto&&) const {}
    Function function;
};

static_assert(weighting<unit_weight>);

}  // namespace onestep
