#pragma once
/// Which weights a consistency target comes from: those of the step, or an average of earlier ones that moves by
/// average = mu average + (1 - mu) weights after each. The trainer keeps it; it is not the one that samples are made with.
#include <cmath>
#include <concepts>

#include "../core/error.hpp"
#include "../core/shape.hpp"
#include "../core/spec.hpp"

namespace onestep {

/// None: the target comes from the weights as they are, held constant. Source: Song, Dhariwal 2023 (arXiv:2310.14189), section 3.2.
struct no_average {
    static constexpr char const* name = "no_average";
    void fields(auto&&) const {}
    friend bool operator==(no_average const&, no_average const&) = default;
};

/// `decay(pairs, step)` is mu after training step `step`, in [0, 1).
template <class A, class Pairs>
concept target_average = spec<A> &&(std::same_as<A, no_average> || requires(A const& a, Pairs const& pairs, index_t step) {
    { a.decay(pairs, step) } -> std::same_as<double>;
});

/// The same mu at every step. `decay` throws domain_error unless it lies in [0, 1).
/// Source: Song et al. 2023 (arXiv:2303.01469), table 3; 0 on CIFAR-10, 0.95 on ImageNet 64, both for distillation.
struct constant_average {
    static constexpr char const* name = "constant_average";
    double mu = 0.95;  ///< in [0, 1)

    double decay(auto const&, index_t) const {
        if (!(mu >= 0 && mu < 1)) raise<domain_error>(name, "mu is " + to_string(mu), "it must be in [0, 1)");
        return mu;
    }
    void fields(auto&& visit) const { visit("mu", mu); }
    friend bool operator==(constant_average const&, constant_average const&) = default;
};

/// What log mu is divided by: the number of noise levels N, as the paper prints it, or of intervals N - 1, as the authors' code does.
enum class average_divisor { levels, intervals };

inline char const* to_string(average_divisor divisor) { return divisor == average_divisor::levels ? "levels" : "intervals"; }

/// mu that rises with the number N(k) of noise levels,
///
///     mu(k) = exp(N(0) log(mu) / N(k))        or N(k) - 1 below
///
/// so that a target lags equally far behind in noise level. For pairs that tell their `levels(step)`, as neighbouring_levels does.
/// `decay` throws domain_error unless mu lies in (0, 1). Source: Song et al. 2023 (arXiv:2303.01469), appendix C; mu = 0.9 on CIFAR-10,
/// 0.95 on ImageNet 64.
struct adaptive_average {
    static constexpr char const* name = "adaptive_average";
    double mu = 0.9;  ///< in (0, 1)
    average_divisor divisor = average_divisor::levels;

    template <class Pairs> double decay(Pairs const& pairs, index_t step) const requires requires { pairs.levels(step); }
    {
        if (!(mu > 0 && mu < 1)) raise<domain_error>(name, "mu is " + to_string(mu), "it must be in (0, 1)");
        index_t const now = pairs.levels(step) - (divisor == average_divisor::intervals ? 1 : 0);
        return std::exp(static_cast<double>(pairs.levels(0)) * std::log(mu) / static_cast<double>(now));
    }
    void fields(auto&& visit) const {
        visit("mu", mu);
        visit("divisor", to_string(divisor));
    }
    friend bool operator==(adaptive_average const&, adaptive_average const&) = default;
};

}  // namespace onestep
