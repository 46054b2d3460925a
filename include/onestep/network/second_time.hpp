#pragma once
#include <string>
#include <vector>

#include "concept.hpp"
#include "parameters.hpp"

namespace onestep {

/// The same network with a second time that it does not look at yet: F(x, t, s) = F(x, t), whatever s is. A shortcut or mean flow
/// model starts so from a trained flow, whose velocity is its answer at s = t already.
///
///     onestep::mlp net = onestep::with_second_time(flow.averaged().network());
///     onestep::flow_map_model map{net};
///
/// For an mlp, a unet, and every network that is made of a backend and options with `second_time`, tells its names(), and reads the
/// features of t before those of t - s. Throws shape_error if the network has two times. Parameters pass through host memory.
template <class Network>
requires requires(Network& net) {
    net.options().second_time;
    net.names();
}
Network with_second_time(Network& net) {
    using T = scalar_of<Network>;
    auto options = net.options();
    if (options.second_time) raise<shape_error>("with_second_time", "the network has a second time", "one with a single time is needed");
    options.second_time = true;
    Network wide(net.parameters().backend(), options);
    std::vector<T> const from = to_host(net.parameters());
    std::vector<T> to(static_cast<std::size_t>(wide.parameters().size()));
    auto const old = net.names().begin();
    index_t k = 0;
    for (parameter const& p : wide.names()) {
        parameter const& q = old[k++];
        // All agree but the layer that reads the features of time, whose new columns are zero.
        index_t const rows = p.extents.rank() == 2 ? p.extents[0] : 1, across = p.extents.size() / rows, before = q.extents.size() / rows;
        for (index_t r = 0; r < rows; ++r)
            for (index_t c = 0; c < before; ++c)
                to[static_cast<std::size_t>(p.offset + r * across + c)] = from[static_cast<std::size_t>(q.offset + r * before + c)];
    }
    wide.parameters().backend().upload(to.data(), static_cast<index_t>(to.size()), wide.parameters().data());
    return wide;
}

}  // namespace onestep
