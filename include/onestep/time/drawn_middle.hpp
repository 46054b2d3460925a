#pragma once
#include "sorted_pair.hpp"
#include "triple.hpp"

namespace onestep {

/// t and s from a pair density, u uniform between them in time: u = t - (t - s) U, U in (0, reach).
///
///     drawn_middle{sorted_pair{log_normal{}}}                 anywhere between them
///     drawn_middle{sorted_pair{log_normal{}}, 0.1}            within a tenth of the way, where a solver's single step is still good
///
/// Throws what the pair density throws, and domain_error unless 0 < reach <= 1.
template <spec Pairs = sorted_pair<>> struct drawn_middle {
    static constexpr char const* name = "drawn_middle";
    Pairs pairs = {};
    double reach = 1;  ///< in (0, 1]

    template <process P>
    requires time_pair_density<Pairs, P> time_triple sample(P const& p, random_stream stream, index_t row, index_t step)
    const {
        if (!(reach > 0 && reach <= 1)) raise<domain_error>(name, "reach is " + to_string(reach), "it must lie in (0, 1]");
        // An element of the row's that no pair density comes to.
        constexpr std::uint64_t element = 64;
        auto const [t, s] = pairs.sample(p, stream, row, step);
        return {t, std::fmin(std::fmax(t - (t - s) * reach * uniform(stream, row, element), s), t), s};
    }
    void fields(auto&& visit) const {
        visit("pairs", pairs);
        visit("reach", reach);
    }
    friend bool operator==(drawn_middle const&, drawn_middle const&) = default;
};

drawn_middle()->drawn_middle<>;
template <class Pairs> drawn_middle(Pairs) -> drawn_middle<Pairs>;
template <class Pairs> drawn_middle(Pairs, double) -> drawn_middle<Pairs>;

}  // namespace onestep
