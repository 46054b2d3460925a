#pragma once
#include "logit_normal.hpp"
#include "pair.hpp"
#include "second_draw.hpp"

namespace onestep {

/// Two draws of one density: t is the later, s the earlier. Throws what the density throws.
/// Source: Geng et al. 2025 (arXiv:2505.13447), section 4.3; logit_normal{-0.4, 1} for latents of ImageNet, {-2, 2} for CIFAR-10.
template <spec Density = logit_normal> struct sorted_pair {
    static constexpr char const* name = "sorted_pair";
    Density density = {};

    template <process P>
    requires time_density<Density, P> time_pair sample(P const& p, random_stream stream, index_t row, index_t)
    const {
        double const a = density.sample(p, stream, row), b = density.sample(p, second_draw(stream), row);
        return {std::fmax(a, b), std::fmin(a, b)};
    }
    void fields(auto&& visit) const { visit("density", density); }
    friend bool operator==(sorted_pair const&, sorted_pair const&) = default;
};

sorted_pair()->sorted_pair<>;
template <class Density> sorted_pair(Density) -> sorted_pair<Density>;

}  // namespace onestep
