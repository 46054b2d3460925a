#pragma once
#include "concept.hpp"

namespace onestep {

/// A target that was trained on process A, used on another process B: at each time of B the network is asked at the
/// time of A with the same signal-to-noise ratio, where x_A = (alpha_A / alpha_B) x_B has the law it was trained on.
///
///     // a VP network that predicts the noise, sampled along straight paths
///     onestep::model flow{net, onestep::rectified_flow{}, onestep::matched_target{onestep::epsilon{}, onestep::variance_preserving{}}};
///
/// F keeps its meaning: weights, input scale and network time are A's at that time. The scale is taken as the ratio of
/// sqrt(alpha^2 + sigma^2), which is the same number and regular at alpha = 0 and at sigma = 0.
///
/// The members throw domain_error where A never has B's signal-to-noise ratio (B starts at pure noise, A does not), to
/// six digits. Cost: one inversion of A's log-SNR a call.
/// Source: Karras et al. 2022 (arXiv:2206.00364), appendix C.
template <target Target, process Process>
requires spec<Process>
struct matched_target {
    static constexpr char const* name = "matched_target";
    Target target = {};
    Process process = {};  ///< A, the one the network was trained on

    target_weights weights(marginal const& m) const { return target.weights(trained_at(m)); }
    double input_scale(marginal const& m) const {
        marginal const a = trained_at(m);
        return std::hypot(a.alpha, a.sigma) / std::hypot(m.alpha, m.sigma) * input_scale_of(target, a);
    }
    double network_time(marginal const& m) const {
        marginal const a = trained_at(m);
        if constexpr (tells_network_time<Target>) return target.network_time(a);
        else return onestep::network_time_of(process, a.t);
    }
    /// A's numbers at the signal-to-noise ratio of m.
    marginal trained_at(marginal const& m) const {
        double const log_snr = 2 * (std::log(m.alpha) - std::log(m.sigma));
        marginal const a = marginal_at(process, process.time_of_log_snr(log_snr));
        double const one = a.alpha * m.sigma, other = a.sigma * m.alpha;
        double const rounding = 1e-12 * std::hypot(a.alpha, a.sigma) * std::hypot(m.alpha, m.sigma);
        if (!(std::fabs(one - other) <= 1e-6 * std::fmax(one, other) + rounding))
            raise<domain_error>(name, "log-SNR is " + to_string(log_snr) + " at t = " + to_string(m.t),
                                "the process that the network was trained on comes no nearer than t = " + to_string(a.t) +
                                    " with alpha = " + to_string(a.alpha) + ", sigma = " + to_string(a.sigma));
        return a;
    }

    void fields(auto&& visit) const {
        visit("target", target);
        visit("process", process);
    }
    friend bool operator==(matched_target const&, matched_target const&) = default;
};

template <class Target, class Process> matched_target(Target, Process) -> matched_target<Target, Process>;

}  // namespace onestep
