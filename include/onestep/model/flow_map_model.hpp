#pragma once
#include "../process/rectified_flow.hpp"
#include "concept.hpp"

namespace onestep {

/// What a flow map's network means: a rule that gives, for two times, the coefficients of x_s = x x_t + output F. It may scale what
/// the network reads, like a target: input_scale(m).
template <class M>
concept map_rule = spec<M> && requires(M const& map, marginal const& m) {
    { map.at(m, m) } -> std::same_as<conversion>;
};

/// The network predicts the average velocity between two times, F = (x_t - x_s) / (t - s), so x_s = x_t - (t - s) F. At s = t it is the
/// velocity itself. Source: Frans et al. 2024 (arXiv:2410.12557), shortcut models; Geng et al. 2025 (arXiv:2505.13447), mean flow.
struct average_velocity {
    static constexpr char const* name = "average_velocity";
    conversion at(marginal const& t, marginal const& s) const { return {1, s.t - t.t}; }
    void fields(auto&&) const {}
    friend bool operator==(average_velocity const&, average_velocity const&) = default;
};

/// A flow map: a network that carries x from time t to any earlier time s in one evaluation.
///
///     X(x_t, t, s) = a(t, s) x_t + b(t, s) F(x_t, t, s)        X(x, t, t) = x, exactly
///
///     onestep::mlp net{device, {.data = {2}, .second_time = true}};     // called as net(x, t, s, y)
///     onestep::flow_map_model map{net};                                 // rectified flow, average velocity
///
/// Shortcut models and mean flow train such a model; `jump` samples from it in any number of steps. An lvalue network is kept by
/// reference and must outlive the model; an rvalue is owned.
template <class Network, process Process, map_rule Rule> class flow_map_model {
    using inner = std::remove_reference_t<Network>;

public:
    using network_type = inner;
    using process_type = Process;
    using target_type = Rule;
    static constexpr bool two_times = true;

    flow_map_model(Network&& net) : flow_map_model(std::forward<Network>(net), Process{}, Rule{}) {}
    flow_map_model(Network&& net, Process const& process) : flow_map_model(std::forward<Network>(net), process, Rule{}) {}
    flow_map_model(Network&& net, Process const& process, Rule const& rule)
        : net_(std::forward<Network>(net)), process_(process), rule_(rule) {}

    inner& network() { return net_; }
    auto& network() const { return net_; }
    Process const& process() const { return process_; }
    Rule const& target() const { return rule_; }

    /// The same process and rule with another network.
    template <class Other> auto with_network(Other&& other) const {
        return flow_map_model<Other, Process, Rule>(std::forward<Other>(other), process_, rule_);
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

    /// Coefficients of x_s at t and s <= t.
    conversion map_at(double t, double s) const { return rule_.at(marginal_at(process_, t), marginal_at(process_, s)); }
    /// How the network is told of a time.
    network_input input_at(double t) const {
        double scale = 1;
        if constexpr (requires(marginal const& m) {
                          { rule_.input_scale(m) } -> std::same_as<double>;
                      })
            scale = rule_.input_scale(marginal_at(process_, t));
        return {scale, network_time_of(process_, t)};
    }

private:
    Network net_;
    [[no_unique_address]] Process process_;
    [[no_unique_address]] Rule rule_;
};

template <class Network> flow_map_model(Network&&) -> flow_map_model<Network, rectified_flow, average_velocity>;
template <class Network, process Process> flow_map_model(Network&&, Process) -> flow_map_model<Network, Process, average_velocity>;
template <class Network, process Process, map_rule Rule> flow_map_model(Network&&, Process, Rule) -> flow_map_model<Network, Process, Rule>;

}  // namespace onestep
