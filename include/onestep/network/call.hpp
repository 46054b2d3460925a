#pragma once
/// One way to ask networks of one time and of two, with labels and without, as objectives and flow maps do.
#include <string>

#include "../core/error.hpp"
#include "concept.hpp"

namespace onestep {

/// Where a network is asked, n rows at once.
template <class T, class Backend> struct network_call {
    view<T const, Backend> x;                       ///< [n, ...]
    view<T const, Backend> t;                       ///< [n]
    view<T const, Backend> s = {};                  ///< [n], the time to arrive at; empty: a network of one time
    view<std::int32_t const, Backend> labels = {};  ///< [n]; empty: none

    /// The first `count` rows.
    network_call first(index_t count) const {
        network_call part{x.rows(0, count), t.rows(0, count)};
        if (s.data() != nullptr) part.s = s.rows(0, count);
        if (labels.data() != nullptr) part.labels = labels.rows(0, count);
        return part;
    }
};

/// A direction in which a call is differentiated: as many rows as it has, or fewer. vs may be empty (zero).
template <class T, class Backend> struct call_tangent {
    view<T const, Backend> x, t, s = {};
};

namespace calling {

template <class Network, class... Arguments>
concept takes = requires(Network& net, Arguments... arguments) {
    net(arguments...);
};
template <class Network, class... Arguments>
concept takes_forward = requires(Network& net, Arguments... arguments) {
    net.forward(arguments...);
};
template <class Network, class... Arguments>
concept takes_jvp = requires(Network& net, Arguments... arguments) {
    net.jvp(arguments...);
};
template <class Network, class... Arguments>
concept takes_forward_jvp = requires(Network& net, Arguments... arguments) {
    net.forward_jvp(arguments...);
};

/// net.jvp(arguments...) and net.forward_jvp(arguments...), if there are such members; false if not. Templates of the network's type:
/// in a generic lambda, whose networks are known, clang looks for the member even where it is not called.
template <class Network, class... Arguments> bool try_jvp(Network& net, Arguments... arguments) {
    if constexpr (takes_jvp<Network, Arguments...>) return net.jvp(arguments...), true;
    else return false;
}
template <class Network, class... Arguments> bool try_forward_jvp(Network& net, Arguments... arguments) {
    if constexpr (takes_forward_jvp<Network, Arguments...>) return net.forward_jvp(arguments...), true;
    else return false;
}

/// Calls use(), use(s), use(labels) or use(s, labels), whichever are there. Whether there is a second time is known to the
/// compiler, so that no network is instantiated with arguments that it never sees.
template <bool TwoTimes, class T, class Backend, class Use> void with_arguments(network_call<T, Backend> const& c, Use const& use) {
    bool const labelled = c.labels.data() != nullptr;
    if constexpr (TwoTimes) {
        if (labelled) use(c.s, c.labels);
        else use(c.s);
    } else {
        if (labelled) use(c.labels);
        else use();
    }
}

[[noreturn]] inline void refuse(char const* what, bool labelled, bool two_times) {
    std::string const call = std::string(what) + "(x, t, " + (two_times ? "s, " : "") + (labelled ? "labels, " : "") + "...)";
    raise<shape_error>("network", labelled ? "the batch has labels" : "the batch has no labels",
                       std::string("this network takes ") + (labelled ? "none" : "some") + ": it has no " + call);
}

}  // namespace calling

/// y = F of the call: net(x, t, [s,] [labels,] y). Throws shape_error if the network does not take labels that are given.
template <bool TwoTimes, class Network, class T, class Backend>
void evaluate(Network& net, network_call<T, Backend> const& c, view<T, Backend> y) {
    calling::with_arguments<TwoTimes>(c, [&](auto... more) {
        if constexpr (calling::takes<Network, decltype(c.x), decltype(c.t), decltype(more)..., decltype(y)>) net(c.x, c.t, more..., y);
        else calling::refuse("net", c.labels.data() != nullptr, TwoTimes);
    });
}

/// The same by net.forward: the network keeps what its backward needs.
template <bool TwoTimes, class Network, class T, class Backend>
void forward(Network& net, network_call<T, Backend> const& c, view<T, Backend> y) {
    calling::with_arguments<TwoTimes>(c, [&](auto... more) {
        if constexpr (calling::takes_forward<Network, decltype(c.x), decltype(c.t), decltype(more)..., decltype(y)>)
            net.forward(c.x, c.t, more..., y);
        else calling::refuse("forward", c.labels.data() != nullptr, TwoTimes);
    });
}

/// y = F and vy = dF along a tangent of all rows, by net.jvp.
template <bool TwoTimes, class Network, class T, class Backend>
void jvp(Network& net, network_call<T, Backend> const& c, call_tangent<T, Backend> const& v, view<T, Backend> y, view<T, Backend> vy) {
    calling::with_arguments<false>(network_call<T, Backend>{c.x, c.t, {}, c.labels}, [&](auto... labels) {
        bool done;
        if constexpr (TwoTimes) done = calling::try_jvp(net, c.x, v.x, c.t, v.t, c.s, v.s, labels..., y, vy);
        else done = calling::try_jvp(net, c.x, v.x, c.t, v.t, labels..., y, vy);
        if (!done) calling::refuse("jvp", c.labels.data() != nullptr, TwoTimes);
    });
}

/// y = F of all rows, keeping what backward needs, and vy = dF of the first v.x.rows() rows: what objectives with an exact
/// derivative in them do at every step. By net.forward_jvp, one pass, where the network has it; else by jvp and forward.
template <bool TwoTimes, class Network, class T, class Backend>
void forward_jvp(Network& net, network_call<T, Backend> const& c, call_tangent<T, Backend> const& v, view<T, Backend> y,
                 view<T, Backend> vy) {
    if (v.x.rows() == 0) return forward<TwoTimes>(net, c, y);
    bool done = false;
    calling::with_arguments<false>(network_call<T, Backend>{c.x, c.t, {}, c.labels}, [&](auto... labels) {
        if constexpr (TwoTimes) done = calling::try_forward_jvp(net, c.x, v.x, c.t, v.t, c.s, v.s, labels..., y, vy);
        else done = calling::try_forward_jvp(net, c.x, v.x, c.t, v.t, labels..., y, vy);
    });
    if (done) return;
    jvp<TwoTimes>(net, c.first(v.x.rows()), v, y.rows(0, v.x.rows()), vy);
    forward<TwoTimes>(net, c, y);
}

}  // namespace onestep
