#pragma once
#include "../process/rectified_flow.hpp"
#include "../process/sde.hpp"
#include "../process/trigonometric_flow.hpp"
#include "../target/consistency_preconditioned.hpp"
#include "../target/trig_velocity.hpp"
#include "concept.hpp"

namespace onestep {

/// What a consistency model's network means where nothing else is said.
template <process Process> auto default_consistency_target(Process const& process) {
    if constexpr (std::same_as<Process, trigonometric_flow>) return trig_velocity{process.sigma_data};
    else if constexpr (std::same_as<Process, rectified_flow>) return velocity{};
    else if constexpr (requires {
                           { process.sigma_min } -> std::convertible_to<double>;
                       })
        return consistency_preconditioned{.sigma_data = 0.5, .sigma_min = process.sigma_min};
    else return consistency_preconditioned{.sigma_data = 0.5, .sigma_min = noise_to_signal(process, process.t_min())};
}

/// A consistency model: a network that says at once, from any point of a path, where the path ends in the data.
///
///     f(x_t, t) = a(t) x_t + b(t) F(c(t) x_t, n(t))        f(x, boundary) = x / alpha, exactly, whatever the network says
///
///     onestep::consistency_model fast{net, onestep::edm{}};                                             // as first published
///     onestep::consistency_model fast{net, onestep::trigonometric_flow{.sigma_data = 0.5}};             // continuous time
///     onestep::consistency_model fast{net, onestep::rectified_flow{}, onestep::velocity{}};             // x - t F
///
/// a, b, c, n are those by which the target tells the clean sample. Any target will do with which b falls to 0 at the data:
/// consistency_preconditioned (the default, on any process), trig_velocity (trigonometric flow), velocity (rectified flow: x - t F),
/// edm_preconditioned, v_prediction. The noise level at which b is 0 is the target's sigma_min if it has one, else the process's at t_min.
///
/// It is not a denoiser: F is trained to end the path, not to follow it. Samples are made with `jump`. To train or use the same network
/// as a denoiser, bind it by model{net, process, target}. An lvalue network is kept by reference and must outlive the model.
template <class Network, process Process, target Target> class consistency_model {
    using inner = std::remove_reference_t<Network>;

public:
    using network_type = inner;
    using process_type = Process;
    using target_type = Target;

    consistency_model(Network&& net, Process const& process)
        : consistency_model(std::forward<Network>(net), process, default_consistency_target(process)) {}
    consistency_model(Network&& net, Process const& process, Target const& target)
        : net_(std::forward<Network>(net)), process_(process), target_(target) {}

    inner& network() { return net_; }
    auto& network() const { return net_; }
    Process const& process() const { return process_; }
    Target const& target() const { return target_; }

    /// The same process and target with another network.
    template <class Other> auto with_network(Other&& other) const {
        return consistency_model<Other, Process, Target>(std::forward<Other>(other), process_, target_);
    }
    /// The same model with a class label for each row. Throws label_error for a label that the network does not know.
    template <class Backend> auto given(view<std::int32_t const, Backend> labels) const {
        return with_network(conditioned<inner&, Backend>(const_cast<inner&>(net_), labels));
    }
    template <class Backend> auto given(tensor<std::int32_t, Backend> const& labels) const { return given(labels.view()); }
    /// The same, for labels that were checked before.
    template <class Backend> auto given(view<std::int32_t const, Backend> labels, labels_are_checked checked) const {
        return with_network(conditioned<inner&, Backend>(const_cast<inner&>(net_), labels, checked));
    }
    /// The same model for rows first .. first + count - 1 of a batch: labels go with their rows.
    auto rows(index_t first, index_t count) const {
        if constexpr (requires { net_.rows(first, count); }) return with_network(net_.rows(first, count));
        else return with_network<inner&>(const_cast<inner&>(net_));
    }

    /// The latest time at which f is x itself.
    double boundary() const {
        double const level = boundary_level();
        return level > noise_to_signal(process_, process_.t_min()) ? time_of_noise_to_signal(process_, level) : process_.t_min();
    }
    /// Its noise-to-signal ratio.
    double boundary_level() const {
        if constexpr (requires {
                          { target_.sigma_min } -> std::convertible_to<double>;
                      })
            return std::fmax(target_.sigma_min, noise_to_signal(process_, process_.t_min()));
        else return noise_to_signal(process_, process_.t_min());
    }
    /// Coefficients of f at t. Throws domain_error where the target says nothing about the clean sample.
    conversion map_at(double t) const {
        marginal const m = marginal_at(process_, t);
        if (t <= boundary()) return {1 / m.alpha, 0};
        if constexpr (requires {
                          { target_.clean(m) } -> std::same_as<conversion>;
                      })
            return target_.clean(m);
        else return convert(target_, x0{}, m);
    }
    /// How the network is asked at t; up to the boundary its answer does not matter. Throws domain_error where its clock is infinite.
    network_input input_at(double t) const {
        return {input_scale_of(target_, marginal_at(process_, t)), network_time_of(target_, process_, t)};
    }

private:
    Network net_;
    [[no_unique_address]] Process process_;
    [[no_unique_address]] Target target_;
};

template <class Network, process Process>
consistency_model(Network&&, Process) -> consistency_model<Network, Process, decltype(default_consistency_target(std::declval<Process>()))>;
template <class Network, process Process, target Target>
consistency_model(Network&&, Process, Target) -> consistency_model<Network, Process, Target>;

}  // namespace onestep
