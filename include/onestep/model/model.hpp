#pragma once
/// A model binds a network, a process and a target.
#include <utility>

#include "../network/conditioned.hpp"
#include "../network/guided.hpp"
#include "../process/concept.hpp"
#include "../target/convert.hpp"
#include "../target/velocity.hpp"
#include "../target/x0.hpp"

namespace onestep {

/// What the network reads at one time: scale * x_t, and a time on its own clock.
struct network_input {
    double scale = 1, time = 0;
};

/// A denoiser: what the network's output means locally, at x_t and t. Solvers ask for it.
///
///     onestep::model flow{net, onestep::rectified_flow{}, onestep::velocity{}};
///                          |             |                         |
///           any callable  -+             +- how noise is mixed in  +- what net(x, t, y) writes
///
/// An lvalue network is kept by reference and must outlive the model; an rvalue is owned.
template <class Network, process Process, target Target> class model {
    using inner = std::remove_reference_t<Network>;

public:
    using network_type = inner;
    using process_type = Process;
    using target_type = Target;

    model(Network&& net, Process const& process, Target const& target)
        : net_(std::forward<Network>(net)), process_(process), target_(target) {}

    inner& network() { return net_; }
    /// Through a const model a referenced network stays what it was; an owned one is const.
    auto& network() const { return net_; }
    Process const& process() const { return process_; }
    Target const& target() const { return target_; }

    /// The same process and target with another network.
    template <class Other> auto with_network(Other&& other) const {
        return model<Other, Process, Target>(std::forward<Other>(other), process_, target_);
    }
    /// The same model with a class label for each row. Throws label_error for a label that the network does not know.
    template <class Backend> auto given(view<std::int32_t const, Backend> labels) const {
        using labelled = conditioned<inner&, Backend>;
        return model<labelled, Process, Target>(labelled(const_cast<inner&>(net_), labels), process_, target_);
    }
    template <class Backend> auto given(tensor<std::int32_t, Backend> const& labels) const { return given(labels.view()); }
    /// The same, for labels that were checked before.
    template <class Backend> auto given(view<std::int32_t const, Backend> labels, labels_are_checked checked) const {
        using labelled = conditioned<inner&, Backend>;
        return model<labelled, Process, Target>(labelled(const_cast<inner&>(net_), labels, checked), process_, target_);
    }
    /// Classifier-free guidance: the same model, whose network answers F_u + s (F_c - F_u) with F_c given `labels` and F_u given none
    /// (network/guided.hpp). The interval is one of this process's times. The network is called as net(x, t, labels, y) and
    /// net(x, t, y), must have been trained with both, and must outlive the result.
    /// Throws label_error for a label that the network does not know, domain_error for numbers outside their range and for an
    /// interval that the process never enters.
    template <class Backend> auto guided(view<std::int32_t const, Backend> labels, guidance const& options) const {
        return combined(conditioned<inner&, Backend>(shared_network(), labels), shared_network(), options);
    }
    template <class Backend> auto guided(tensor<std::int32_t, Backend> const& labels, guidance const& options) const {
        return guided(labels.view(), options);
    }
    /// The same away from `negative` labels instead of none.
    template <class Backend>
    auto guided(view<std::int32_t const, Backend> labels, view<std::int32_t const, Backend> negative, guidance const& options) const {
        using labelled = conditioned<inner&, Backend>;
        return combined(labelled(shared_network(), labels), labelled(shared_network(), negative), options);
    }
    template <class Backend>
    auto guided(tensor<std::int32_t, Backend> const& labels, tensor<std::int32_t, Backend> const& negative, guidance const& options) const {
        return guided(labels.view(), negative.view(), options);
    }
    /// Autoguidance: the same model, guided away from a weaker one of the same process and target (a smaller network, or an earlier
    /// state of this one). Their networks must outlive the result. Labels, where there are any, are given before:
    /// flow.given(labels).guided_by(weaker.given(labels), {.scale = 2}).
    template <class Weaker> auto guided_by(model<Weaker, Process, Target> const& weaker, guidance const& options) const {
        if constexpr (std::equality_comparable<Process> && std::equality_comparable<Target>)
            if (!(process_ == weaker.process() && target_ == weaker.target()))
                raise<domain_error>("guided_by", "the weaker model has another process or target", "both answers must mean the same");
        return combined(shared_view(), weaker.shared_view(), options);
    }
    /// The same model for rows first .. first + count - 1 of a batch: labels go with their rows.
    auto rows(index_t first, index_t count) const {
        if constexpr (requires { net_.rows(first, count); }) {
            using part = decltype(net_.rows(first, count));
            return model<part, Process, Target>(net_.rows(first, count), process_, target_);
        } else {
            return model<inner&, Process, Target>(const_cast<inner&>(net_), process_, target_);
        }
    }

    /// How the network is asked at t. Throws domain_error where t means nothing to it.
    network_input input_at(double t) const {
        return {input_scale_of(target_, marginal_at(process_, t)), network_time_of(target_, process_, t)};
    }
    /// Coefficients of the velocity dx/dt = x * (.x) + F * (.output) at t. Throws domain_error where the target says
    /// nothing about it.
    conversion velocity_at(double t) const { return to(velocity{}, t); }
    /// Coefficients of the clean sample x0 at t. Throws domain_error likewise.
    conversion x0_at(double t) const { return to(x0{}, t); }

private:
    template <class, onestep::process, onestep::target> friend class model;

    inner& shared_network() const { return const_cast<inner&>(net_); }
    /// The network, or a copy of it if it is itself a view (conditioned, guided), which may belong to a temporary model.
    decltype(auto) shared_view() const {
        if constexpr (requires { net_.rows(0, 0); }) return std::remove_const_t<inner>(net_);
        else return shared_network();
    }
    template <class Conditional, class Unconditional>
    auto combined(Conditional&& conditional, Unconditional&& unconditional, guidance const& options) const {
        using network = onestep::guided<Conditional, Unconditional>;
        return model<network, Process, Target>(
            network(std::forward<Conditional>(conditional), std::forward<Unconditional>(unconditional), on_network_clock(options)),
            process_, target_);
    }
    /// With the interval in times that the network is told. An end that the process does not pass is no end.
    guidance on_network_clock(guidance options) const {
        options.check();
        double const begin = process_.t_min(), end = process_.t_max();
        if (options.to < begin || options.from > end)
            raise<domain_error>(guidance::name, "the interval is " + to_string(options.from) + " to " + to_string(options.to),
                                "the process runs from " + to_string(begin) + " to " + to_string(end));
        auto const clock = [&](double t) {
            if constexpr (tells_network_time<Target>) return target_.network_time(marginal_at(process_, t));
            else return network_time_of(process_, t);
        };
        double const sign = clock(end) < clock(begin) ? -1 : 1;  // a clock may run the other way
        double const low = options.from > begin ? sign * clock(options.from) : -HUGE_VAL,
                     high = options.to < end ? sign * clock(options.to) : HUGE_VAL;
        options.from = sign > 0 ? low : -high;
        options.to = sign > 0 ? high : -low;
        return options;
    }
    template <class To> conversion to(To const& wanted, double t) const { return convert(target_, wanted, marginal_at(process_, t)); }

    Network net_;
    [[no_unique_address]] Process process_;  // most have no members
    [[no_unique_address]] Target target_;
};

template <class Network, process Process, target Target> model(Network&&, Process, Target) -> model<Network, Process, Target>;

/// Whether a model's network is told a second time, as flow maps' are.
template <class M> constexpr bool asks_two_times() {
    if constexpr (requires { M::two_times; }) return M::two_times;
    else return false;
}

/// Something with a network, a process and a target that tells velocities and clean samples: what solvers ask for.
template <class M>
concept denoiser = requires(M const& m, double t) {
    m.network();
    m.process();
    { m.velocity_at(t) } -> std::same_as<conversion>;
    { m.x0_at(t) } -> std::same_as<conversion>;
    { m.input_at(t) } -> std::same_as<network_input>;
};

}  // namespace onestep
