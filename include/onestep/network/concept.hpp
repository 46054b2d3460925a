#pragma once
/// What a network is. Nothing to derive from: a network is anything that can be called so, and each refinement is asked
/// for only by what needs it. x is [n, ...], t and s are [n], y has x's shape; all are views of one backend's memory.
///
///     network                  net(x, t, y)              writes y = F(x, t); reads x and t
///     two_time_network         net(x, t, s, y)           s: the time to arrive at, s <= t (flow maps)
///     labelled_network         net(x, t, labels, y)      labels [n], one class a sample; see conditioned.hpp
///     trainable_network        net.forward(x, t, y)      as above, and keeps what backward needs
///                              net.backward(dy)          adds dL/dparameters to gradients()
///                              net.parameters()          one flat view
///                              net.gradients()           another of the same size; both at stable addresses
///     differentiable_network   net.jvp(x, vx, t, vt, y, vy)     vy = (dF/dx) vx + (dF/dt) vt
///
/// With a second time s follows t everywhere, with labels they come after the times:
///
///     net.forward(x, t, s, labels, y)        net.jvp(x, vx, t, vt, s, vs, labels, y, vy)
///
/// A network may also offer both at once, which saves objectives with a derivative in them one evaluation:
///
///     net.forward_jvp(x, vx, t, vt, y, vy)   forward, and tangents of the first vx.rows() rows
///
/// What no compiler checks, `check_gradients` and `check_jvp` do (check.hpp):
///  - net(...) does not disturb a forward that waits for its backward;
///  - equal inputs give equal outputs;
///  - backward adds to the gradients, it does not overwrite them;
///  - a row of y depends on the same row of x, t and labels alone.
///
/// x and t must stay unchanged between forward and backward: networks borrow them.
///
/// A generic lambda is a network; its body is compiled when the concept is checked, so a mistake in it is reported inside
/// the lambda.
#include <concepts>
#include <cstdint>

#include "../backend/concept.hpp"
#include "../core/view.hpp"

namespace onestep {

template <class N, class T, class Backend>
concept network = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
    net(x, t, y);
};

template <class N, class T, class Backend>
concept two_time_network = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T const, Backend> s,
                                    view<T, Backend> y) {
    net(x, t, s, y);
};

template <class N, class T, class Backend>
concept labelled_network = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<std::int32_t const, Backend> labels,
                                    view<T, Backend> y) {
    net(x, t, labels, y);
};

template <class N>
concept has_parameters = requires(N& net) {
    net.parameters().data();
    net.parameters().size();
    net.parameters().backend();
    net.gradients().data();
    requires std::same_as<decltype(net.parameters()), decltype(net.gradients())>;
};

/// Scalar and backend of a network that has parameters.
template <has_parameters N> using scalar_of = typename decltype(std::declval<N&>().parameters())::value_type;
template <has_parameters N> using backend_of = typename decltype(std::declval<N&>().parameters())::backend_type;

template <class N, class T, class Backend>
concept has_forward = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
    net.forward(x, t, y);
};
template <class N, class T, class Backend>
concept has_backward = requires(N& net, view<T const, Backend> dy) {
    net.backward(dy);
};

template <class N>
concept trainable_network = has_parameters<N> && network<N, scalar_of<N>, backend_of<N>> && has_forward<N, scalar_of<N>, backend_of<N>> &&
    has_backward<N, scalar_of<N>, backend_of<N>>;

template <class N, class T, class Backend>
concept has_two_time_forward = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
    net.forward(x, t, t, y);
};
/// trainable_network with a second time.
template <class N>
concept two_time_trainable_network = has_parameters<N> && two_time_network<N, scalar_of<N>, backend_of<N>> &&
    has_two_time_forward<N, scalar_of<N>, backend_of<N>> && has_backward<N, scalar_of<N>, backend_of<N>>;

template <class N, class T, class Backend>
concept two_time_differentiable_network = requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
    net.jvp(x, x, t, t, t, t, y, y);
};

template <class N, class T, class Backend>
concept differentiable_network = network<N, T, Backend> &&
    requires(N& net, view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
    net.jvp(x, x, t, t, y, y);
};

}  // namespace onestep
