#pragma once
/// What the tests of continuous consistency share: its problems in host memory.
#include <onestep/objective/continuous_consistency.hpp>

#include "gradient.hpp"

namespace onestep::test::continuous {

using data_type = batch<double, backend_type>;
using numbers = std::vector<double>;

/// The problem of a batch, in host memory. Not inlined: GCC 12 takes a model of empty classes for uninitialised.
struct host_problem {
    numbers x, t, output, target;
    std::vector<regression_row<double>> rows;

    /// What is added to the network's own answer: g, as it was normalised.
    double g(std::size_t i) const {
        std::size_t const r = i / (x.size() / t.size());
        return target[i] - (rows[r].a * x[i] + rows[r].b * output[i]);
    }
};
template <class Objective, class Model>
[[gnu::noinline]] host_problem build(Objective const& objective, Model& model, data_type const& data, random_key key) {
    auto const memory = device().scratch();
    auto const p = objective.build(model, data, key, *memory);
    host_problem out{to_host(p.call.x), to_host(p.call.t), numbers(static_cast<std::size_t>(p.call.x.size())), {}, {}};
    out.target = out.output;
    out.rows.resize(static_cast<std::size_t>(p.call.x.rows()));
    device().download(p.output, p.call.x.size(), out.output.data());
    device().download(p.target, p.call.x.size(), out.target.data());
    device().download(p.rows, p.call.x.rows(), out.rows.data());
    return out;
}

/// F(x, t) on the host's numbers.
template <class Network> numbers answer(Network& net, numbers const& x, numbers const& t) {
    index_t const n = static_cast<index_t>(t.size()), d = static_cast<index_t>(x.size()) / n;
    tensor<double, backend_type> const at(device(), {n, d}, x), times(device(), {n}, t);
    tensor<double, backend_type> y(device(), {n, d});
    evaluate<false>(net, network_call<double, backend_type>{at.view(), times.view()}, y.view());
    return y.to_host();
}

inline numbers drawn_levels(random_key key, std::size_t n, double mean = -1, double deviation = 1.4) {
    numbers levels;
    for (std::size_t r = 0; r < n; ++r)
        levels.push_back(std::exp(mean + deviation * static_cast<double>(normal_deviate(key.at(draw::time), static_cast<index_t>(r)))));
    return levels;
}

inline mlp<double, backend_type> small_network() {
    return lively_mlp<double>({.data = {2}, .width = 6, .blocks = 1, .time = {.size = 4, .scale = 2}});
}

inline continuous_consistency_options const at_once{.warmup = 0};

}  // namespace onestep::test::continuous
