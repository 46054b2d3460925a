#pragma once
/// The kinds of model. A denoiser (model.hpp) says something local at x_t and t; solvers ask for it. A flow map carries x from t to
/// another time in one evaluation; `jump` and the objectives of few-step methods ask for it:
///
///     consistency_model     f(x_t, t), an estimate of the sample at the data's end alone
///     flow_map_model        X(x_t, t, s), the state at any s <= t: its network is told two times
#include "model.hpp"

namespace onestep {

/// f = map_at(t).x * x + map_at(t).output * F; exactly f = x / alpha at the boundary, whose time is `boundary()`.
template <class M>
concept consistency_map = requires(M const& m, double t) {
    m.network();
    m.process();
    { m.map_at(t) } -> std::same_as<conversion>;
    { m.input_at(t) } -> std::same_as<network_input>;
    { m.boundary() } -> std::same_as<double>;
};

/// x_s = map_at(t, s).x * x + map_at(t, s).output * F.
template <class M>
concept two_time_map = requires(M const& m, double t) {
    m.network();
    m.process();
    { m.map_at(t, t) } -> std::same_as<conversion>;
    { m.input_at(t) } -> std::same_as<network_input>;
    requires M::two_times;
};

template <class M>
concept flow_map = consistency_map<M> || two_time_map<M>;

/// Whether a network is told two times, with labels or without.
template <class N, class T, class Backend>
concept takes_two_times = two_time_network<N, T, Backend> ||
    requires(N& net, view<T const, Backend> x, view<std::int32_t const, Backend> labels, view<T, Backend> y) {
    net(x, x, x, labels, y);
};

/// Refuses a flow map over a network of one time.
template <class Model, class T, class Backend> constexpr void require_two_times() {
    if constexpr (asks_two_times<Model>())
        static_assert(takes_two_times<std::remove_reference_t<decltype(std::declval<Model&>().network())>, T, Backend>,
                      "A flow map needs a network with two times: net(x, t, s, y), s [n] being the time to arrive at.");
}

/// A model whose network has what training needs.
template <class M> constexpr bool trains() {
    using network = std::remove_cvref_t<decltype(std::declval<M&>().network())>;
    if constexpr (asks_two_times<M>()) return two_time_trainable_network<network>;
    else return trainable_network<network>;
}

}  // namespace onestep
