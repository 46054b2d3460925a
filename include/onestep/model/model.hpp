#pragma once
/// A model binds a network, a process and a target.
#include <utility>

#include "../network/conditioned.hpp"
#include "../process/concept.hpp"
#include "../target/convert.hpp"
#include "../target/velocity.hpp"
#include "../target/x0.hpp"

namespace onestep {

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
    /// The same model for rows first .. first + count - 1 of a batch: labels go with their rows.
    auto rows(index_t first, index_t count) const {
        if constexpr (requires { net_.rows(first, count); }) {
            using part = decltype(net_.rows(first, count));
            return model<part, Process, Target>(net_.rows(first, count), process_, target_);
        } else {
            return model<inner&, Process, Target>(const_cast<inner&>(net_), process_, target_);
        }
    }

    /// Coefficients of the velocity dx/dt = x * (.x) + F * (.output) at t. Throws domain_error where the target says
    /// nothing about it.
    conversion velocity_at(double t) const { return to(velocity{}, t); }
    /// Coefficients of the clean sample x0 at t. Throws domain_error likewise.
    conversion x0_at(double t) const { return to(x0{}, t); }

private:
    template <class To> conversion to(To const& wanted, double t) const { return convert(target_, wanted, marginal_at(process_, t)); }

    Network net_;
    [[no_unique_address]] Process process_;  // most have no members
    [[no_unique_address]] Target target_;
};

template <class Network, process Process, target Target> model(Network&&, Process, Target) -> model<Network, Process, Target>;

/// Something with a network, a process and a target that tells velocities and clean samples: what solvers ask for.
template <class M>
concept denoiser = requires(M const& m, double t) {
    m.network();
    m.process();
    { m.velocity_at(t) } -> std::same_as<conversion>;
    { m.x0_at(t) } -> std::same_as<conversion>;
};

}  // namespace onestep
