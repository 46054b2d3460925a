#pragma once
#include "log_normal.hpp"
#include "pair.hpp"

namespace onestep {

/// How far the earlier of two noise levels lies below the later one, in the course of training. With a = floor(step / stage),
///
///     r(se) = max(0, se (1 - n(se) / base^(a+1))),    n(se) = 1 + k / (1 + exp(b se))
///
/// At first r is 0 for small levels: there training is regression on the data, as for diffusion models. Each stage brings r closer: for
/// large levels the gap is base^-(a+1) of the level.
/// Source: Geng et al. 2024 (arXiv:2406.14548), section 4.
struct gap_schedule {
    static constexpr char const* name = "gap_schedule";
    double base = 2;         ///< > 1; 256 with stage = 0 for a short tuning of a trained model
    index_t stage = 25'000;  ///< training steps in which the gap shrinks by `base`, >= 0; 0: it stays that of a = 0
    double k = 8, b = 1;     ///< >= 0
    double closest = 1;      ///< r <= closest se, in (0, 1]; 1: no bound, as published (0.999 in some code)

    /// r for a level se, finite and >= 0. Throws domain_error for numbers outside their range.
    double level_before(double level, index_t step) const {
        if (!(base > 1)) raise<domain_error>(name, "base is " + to_string(base), "it must be > 1");
        if (stage < 0) raise<domain_error>(name, "stage is " + std::to_string(stage), "it must not be negative");
        if (!(k >= 0 && b >= 0)) raise<domain_error>(name, "k is " + to_string(k) + " and b is " + to_string(b), "they must be >= 0");
        if (!(closest > 0 && closest <= 1)) raise<domain_error>(name, "closest is " + to_string(closest), "it must lie in (0, 1]");
        double const a = stage == 0 ? 0 : static_cast<double>(step / stage), n = 1 + k / (1 + std::exp(b * level));
        return level * std::fmin(std::fmax(1 - n * std::pow(base, -a - 1), 0.0), closest);
    }
    void fields(auto&& visit) const {
        visit("base", base);
        visit("stage", stage);
        visit("k", k);
        visit("b", b);
        visit("closest", closest);
    }
    friend bool operator==(gap_schedule const&, gap_schedule const&) = default;
};

/// Pairs of times whose gap shrinks as training goes on: t from a density, s at the noise level that a gap_schedule puts before it, or
/// t_min where that is none. The pairs of easy consistency training, on any process.
///
///     shrinking_gap{}                                                                  as published for CIFAR-10
///     shrinking_gap{log_normal{.mean = -0.8, .deviation = 1.6}, gap_schedule{.base = 4}}
///
/// Throws what the density and the schedule throw, and domain_error where a drawn time has no signal at all (alpha = 0).
/// Source: Geng et al. 2024 (arXiv:2406.14548).
template <spec Density = log_normal> struct shrinking_gap {
    static constexpr char const* name = "shrinking_gap";
    Density density = default_density();
    gap_schedule gap = {};

    template <process P>
    requires time_density<Density, P> time_pair sample(P const& p, random_stream stream, index_t row, index_t step)
    const {
        double const t = density.sample(p, stream, row), level = noise_to_signal(p, t);
        if (std::isinf(level))
            raise<domain_error>(name, "t is " + to_string(t) + " with alpha = 0", "a share of an infinite noise level is no level");
        double const earlier = gap.level_before(level, step);
        if (!(earlier > noise_to_signal(p, p.t_min()))) return {t, p.t_min()};
        return {t, std::fmin(std::fmax(time_of_noise_to_signal(p, earlier), p.t_min()), t)};
    }
    void fields(auto&& visit) const {
        visit("density", density);
        visit("gap", gap);
    }
    friend bool operator==(shrinking_gap const&, shrinking_gap const&) = default;

private:
    static Density default_density() {
        if constexpr (std::same_as<Density, log_normal>) return {.mean = -1.1, .deviation = 2};
        else return {};
    }
};

shrinking_gap()->shrinking_gap<>;
template <class Density> shrinking_gap(Density) -> shrinking_gap<Density>;
template <class Density> shrinking_gap(Density, gap_schedule) -> shrinking_gap<Density>;

}  // namespace onestep
