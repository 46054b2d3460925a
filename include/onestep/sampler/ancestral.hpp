#pragma once
#include "../process/transition.hpp"
#include "concept.hpp"

namespace onestep {

/// Ancestral sampling: x_s is drawn from its Gaussian law given x_t and the clean sample D predicted at t.
///
///     x_s = c_x x_t + c_0 D + d z        c_x, c_0 and both variances: transition.hpp
///     log d^2 = large log(large variance) + (1 - large) log(small variance)
///
/// DDPM's sampler, between any two levels of any process. Of the two variances small is exact when the data are one point,
/// large (DDPM's beta) when they are white noise; over few steps small is the better one. No noise is added on the step to
/// sigma_s = 0. Throws domain_error for a step towards the noise and for `large` outside [0, 1].
///
/// Cost: `steps` evaluations, 1 tensor of x's shape.  Order: 1 in mean and variance (tests/sampler/ancestral.cpp).
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239), algorithm 2; the mixed variance Nichol, Dhariwal 2021 (arXiv:2102.09672),
/// equation 15.
struct ancestral {
    static constexpr char const* name = "ancestral";
    static constexpr int order = 1;
    int steps = 1000;  ///< intervals of the grid, >= 1
    double large = 0;  ///< share of the large variance in log d^2, in [0, 1]

    void step(auto& run, double t, double s) const {
        if (!(large >= 0 && large <= 1)) raise<domain_error>(name, "large is " + to_string(large), "it must be in [0, 1]");
        auto const& p = run.process();
        transition const c = transition_of(p, t, s);
        double const d = p.sigma(s) == 0 ? 0 : std::pow(c.large_variance, large / 2) * std::pow(c.small_variance, (1 - large) / 2);
        run.advance(run.predict(run.x(), t), c.x, c.x0, d);
    }
    void fields(auto&& visit) const {
        visit("steps", steps);
        visit("large", large);
    }
    friend bool operator==(ancestral const&, ancestral const&) = default;
};

/// A network that also says how uncertain it is: net(x, t, y, v) writes y as net(x, t, y) does, and v, shaped like x, from -1
/// (the small variance) to 1 (the large one).
template <class N, class T, class Backend>
concept variance_network = network<N, T, Backend> &&
    requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y, view<T, Backend> v) {
    net(x, t, y, v);
};

namespace functor {
/// x += small (large/small)^((v + 1)/2) z, of the deviations small and large; half_log_ratio = log(large/small)/2.
template <class T> struct ranged_noise {
    T* x;
    T const* v;
    T small, half_log_ratio;
    ONESTEP_HD void operator()(index_t, index_t i, float z) const {
        x[i] = math::fma(small * math::exp(half_log_ratio * (v[i] + T(1))), static_cast<T>(z), x[i]);
    }
};
}  // namespace functor

/// `ancestral` with a variance between small and large that the network tells for each element:
///
///     log d^2 = f log(large variance) + (1 - f) log(small variance),    f = (v + 1)/2
///
/// The network is a `variance_network`; v is not clamped. No noise is added on the step to sigma_s = 0.
/// Throws domain_error for a step towards the noise.
///
/// Cost: `steps` evaluations, 2 tensors of x's shape; the noise is a pass of its own.  Order: 1.
/// Source: Nichol, Dhariwal 2021 (arXiv:2102.09672), equation 15.
struct learned_ancestral {
    static constexpr char const* name = "learned_ancestral";
    static constexpr int order = 1;
    int steps = 1000;  ///< intervals of the grid, >= 1

    template <class Run> void step(Run& run, double t, double s) const {
        using value = typename Run::value_type;
        using backend = typename Run::backend_type;
        constexpr bool tells_variance = variance_network<std::remove_reference_t<decltype(run.model().network())>, value, backend>;
        static_assert(tells_variance, "A learned variance asks for a network that writes it too: net(x, t, y, v), v shaped like x.");
        if constexpr (tells_variance) {
            transition const c = transition_of(run.process(), t, s);
            auto const x = run.x(), v = run.scratch();
            run.advance(run.predict(x, t, v), c.x, c.x0);
            if (run.process().sigma(s) == 0) return;
            double const half_log_ratio = std::log(c.large_variance / c.small_variance) / 4;
            for_each_normal(x.backend(), run.noise(), x.rows(), x.cols(),
                            functor::ranged_noise<value>{x.data(), v.data(), static_cast<value>(std::sqrt(c.small_variance)),
                                                         static_cast<value>(half_log_ratio)});
        }
    }
    void fields(auto&& visit) const { visit("steps", steps); }
    friend bool operator==(learned_ancestral const&, learned_ancestral const&) = default;
};

}  // namespace onestep
