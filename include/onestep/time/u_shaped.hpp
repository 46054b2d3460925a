#pragma once
#include "density.hpp"

namespace onestep {

/// Most weight at both ends of the path, where a second rectified flow errs most:
///
///     density ~ exp(a u) + exp(a (1 - u)),    t = t_min + (t_max - t_min) u,    a = exponent
///
/// which is exp(a v) + exp(-a v) about the middle v = u - 1/2, up to a factor. exponent 0 is uniform_density.
/// Throws domain_error unless 0 <= exponent <= 700.
/// Source: Lee, Lin, Fanti 2024 (arXiv:2405.20320); exponent 4 there.
struct u_shaped {
    static constexpr char const* name = "u_shaped";
    double exponent = 4;  ///< >= 0

    double sample(process auto const& p, random_stream s, index_t row) const {
        if (!(exponent >= 0 && exponent <= 700)) raise<domain_error>(name, "exponent is " + to_string(exponent), "it must lie in [0, 700]");
        double const low = p.t_min(), high = p.t_max(), centred = 2 * uniform(s, row) - 1;
        // The distribution function is 1/2 + sinh(a v) / (2 sinh(a / 2)).
        double const v = exponent == 0 ? centred / 2 : std::asinh(centred * std::sinh(exponent / 2)) / exponent;
        return std::fmin(std::fmax(low + (high - low) * (0.5 + v), low), high);
    }
    void fields(auto&& visit) const { visit("exponent", exponent); }
    friend bool operator==(u_shaped const&, u_shaped const&) = default;
};

}  // namespace onestep
