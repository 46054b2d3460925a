#pragma once
/// How a tangent g is kept from ruling the gradient where it is large. Published implementations disagree about the norm: with d elements
/// a sample the same c means sqrt(d) times more in one than in the other.
///
///     rms_tangent        g / (|g| / sqrt(d) + c)        the root mean square of a sample's elements
///     norm_tangent       g / (|g| + c)                  the norm of a sample
///     clamped_tangent    min(max(g, -limit), limit)     each element for itself
///     plain_tangent      g
///
/// Source: Lu, Song 2024 (arXiv:2410.11081), section 4.1, "tangent normalization" and "tangent clipping".
#include <concepts>

#include "../core/error.hpp"
#include "../core/host_device.hpp"
#include "../core/math.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// element(g) is applied to each element, then, if `needs_norm`, a row is multiplied by factor(S, d), S = |g|^2, d its elements.
template <class N>
concept tangent_norm = spec<N> && std::is_trivially_copyable_v<N> && requires(N const& norm, double s, index_t d) {
    { N::needs_norm } -> std::convertible_to<bool>;
    { norm.factor(s, d) } -> std::same_as<double>;
    { norm.element(s) } -> std::same_as<double>;
    norm.check();
};

/// g / (|g| / sqrt(d) + c).
struct rms_tangent {
    static constexpr char const* name = "rms_tangent";
    static constexpr bool needs_norm = true;
    double c = 0.1;  ///< > 0, in units of one element

    ONESTEP_HD double factor(double s, index_t d) const { return 1 / (math::sqrt(s / static_cast<double>(d)) + c); }
    template <class T> ONESTEP_HD T element(T g) const { return g; }
    void check() const {
        if (!(c > 0)) raise<domain_error>(name, "c is " + to_string(c), "it must be > 0");
    }
    void fields(auto&& visit) const { visit("c", c); }
    friend bool operator==(rms_tangent const&, rms_tangent const&) = default;
};

/// g / (|g| + c).
struct norm_tangent {
    static constexpr char const* name = "norm_tangent";
    static constexpr bool needs_norm = true;
    double c = 0.1;  ///< > 0, in units of a sample's norm

    ONESTEP_HD double factor(double s, index_t) const { return 1 / (math::sqrt(s) + c); }
    template <class T> ONESTEP_HD T element(T g) const { return g; }
    void check() const {
        if (!(c > 0)) raise<domain_error>(name, "c is " + to_string(c), "it must be > 0");
    }
    void fields(auto&& visit) const { visit("c", c); }
    friend bool operator==(norm_tangent const&, norm_tangent const&) = default;
};

/// Every element of g between -limit and limit.
struct clamped_tangent {
    static constexpr char const* name = "clamped_tangent";
    static constexpr bool needs_norm = false;
    double limit = 1;  ///< > 0

    ONESTEP_HD double factor(double, index_t) const { return 1; }
    template <class T> ONESTEP_HD T element(T g) const {
        T const most = static_cast<T>(limit);
        return g > most ? most : g < -most ? -most : g;
    }
    void check() const {
        if (!(limit > 0)) raise<domain_error>(name, "limit is " + to_string(limit), "it must be > 0");
    }
    void fields(auto&& visit) const { visit("limit", limit); }
    friend bool operator==(clamped_tangent const&, clamped_tangent const&) = default;
};

/// g as it is.
struct plain_tangent {
    static constexpr char const* name = "plain_tangent";
    static constexpr bool needs_norm = false;

    ONESTEP_HD double factor(double, index_t) const { return 1; }
    template <class T> ONESTEP_HD T element(T g) const { return g; }
    void check() const {}
    void fields(auto&&) const {}
    friend bool operator==(plain_tangent const&, plain_tangent const&) = default;
};

static_assert(tangent_norm<rms_tangent> && tangent_norm<norm_tangent> && tangent_norm<clamped_tangent> && tangent_norm<plain_tangent>);

}  // namespace onestep
