#pragma once
#include "logit_normal.hpp"
#include "pair.hpp"
#include "second_draw.hpp"

namespace onestep {

/// t from one density, and s from another where it falls before t: s = min(t, draw). Rows with s = t are flow matching.
/// Throws what the densities throw.
/// Source: the second training recipe of mean flow on CIFAR-10, with logit_normal{-0.6, 1.6} for t and logit_normal{-4, 1.6} for s; Geng
/// et al. 2025 (arXiv:2505.13447), official code.
template <spec Later = logit_normal, spec Earlier = Later> struct bounded_pair {
    static constexpr char const* name = "bounded_pair";
    Later later = {};
    Earlier earlier = {};

    template <process P>
    requires(time_density<Later, P>&& time_density<Earlier, P>) time_pair sample(P const& p, random_stream stream, index_t row, index_t)
    const {
        double const t = later.sample(p, stream, row);
        return {t, std::fmin(t, earlier.sample(p, second_draw(stream), row))};
    }
    void fields(auto&& visit) const {
        visit("later", later);
        visit("earlier", earlier);
    }
    friend bool operator==(bounded_pair const&, bounded_pair const&) = default;
};

template <class Later, class Earlier> bounded_pair(Later, Earlier) -> bounded_pair<Later, Earlier>;

}  // namespace onestep
