#pragma once
#include "../process/sde.hpp"
#include "triple.hpp"
#include "uniform_below.hpp"

namespace onestep {

/// t and s from a pair density, and u where the noise level se = sigma/alpha is lower by a constant than at t, but not before s:
///
///     u = max(s, min(t - gap, time of (se_t - range / 2^halvings)))
///
/// Near pure noise u comes too close to t to learn from, so t should end before it.
/// Throws what the pair density throws, and domain_error unless range > 0, halvings >= 0 and gap >= 0.
/// Source: Zhou, Ermon, Song 2025 (arXiv:2503.07565), section 4.2, appendices C.6 and I.6; range 160, 15 halvings on CIFAR-10 and 12 on
/// ImageNet, a gap of 1e-4 for half precision.
template <spec Pairs = uniform_below> struct noise_decrement {
    static constexpr char const* name = "noise_decrement";
    Pairs pairs = {};
    double range = 160;  ///< > 0, largest minus least noise level
    int halvings = 12;   ///< >= 0
    double gap = 0;      ///< >= 0, least distance of u from t in time, as far as s allows

    template <process P>
    requires time_pair_density<Pairs, P> time_triple sample(P const& p, random_stream stream, index_t row, index_t step)
    const {
        if (!(range > 0 && halvings >= 0 && gap >= 0))
            raise<domain_error>(
                name, "range is " + to_string(range) + ", halvings is " + std::to_string(halvings) + " and gap is " + to_string(gap),
                "range > 0, halvings >= 0 and gap >= 0 are needed");
        auto const [t, s] = pairs.sample(p, stream, row, step);
        double const level = noise_to_signal(p, t) - std::ldexp(range, -halvings);
        double const lower = level > noise_to_signal(p, p.t_min()) ? time_of_noise_to_signal(p, level) : p.t_min();
        return {t, std::fmax(s, std::fmin(t - gap, lower)), s};
    }
    void fields(auto&& visit) const {
        visit("pairs", pairs);
        visit("range", range);
        visit("halvings", halvings);
        visit("gap", gap);
    }
    friend bool operator==(noise_decrement const&, noise_decrement const&) = default;
};

noise_decrement()->noise_decrement<>;
template <class Pairs> noise_decrement(Pairs) -> noise_decrement<Pairs>;
template <class Pairs> noise_decrement(Pairs, double) -> noise_decrement<Pairs>;
template <class Pairs> noise_decrement(Pairs, double, int) -> noise_decrement<Pairs>;
template <class Pairs> noise_decrement(Pairs, double, int, double) -> noise_decrement<Pairs>;

}  // namespace onestep
