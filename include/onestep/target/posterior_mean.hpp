#pragma once
#include "concept.hpp"

namespace onestep {

/// The network predicts the mean of x_s given x_t and x0, one step nearer to the data: s = t - step.
///
///     F = alpha_s x0 + alpha_t sigma_s^2 / (alpha_s sigma_t) epsilon,     s = max(t - step, t_min)
///
/// As x0 its errors grow by 1 / (alpha_s (1 - SNR_t / SNR_s)), without bound as the step shrinks; for networks that were
/// trained so. At t <= t_min it is x_t itself and says nothing.
///
///     onestep::posterior_mean ddpm{process};   // x_{t-1}, the levels of a discrete process
///
/// `weights` throws domain_error unless step > 0.
/// Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239), equation 7 and the first rows of table 2.
template <process Process>
requires spec<Process>
struct posterior_mean {
    static constexpr char const* name = "posterior_mean";
    Process process = {};
    double step = 1;  ///< > 0, in units of t

    target_weights weights(marginal const& m) const {
        if (!(step > 0)) raise<domain_error>(name, "step is " + to_string(step), "it must be > 0");
        double const s = std::fmin(m.t, std::fmax(m.t - step, process.t_min()));
        if (s == m.t) return {m.alpha, m.sigma};
        double const alpha = process.alpha(s), sigma = process.sigma(s);
        return {alpha, sigma == 0 ? 0 : m.alpha / alpha * sigma * (sigma / m.sigma)};
    }
    void fields(auto&& visit) const {
        visit("process", process);
        visit("step", step);
    }
    friend bool operator==(posterior_mean const&, posterior_mean const&) = default;
};

template <class Process> posterior_mean(Process) -> posterior_mean<Process>;
template <class Process> posterior_mean(Process, double) -> posterior_mean<Process>;

}  // namespace onestep
