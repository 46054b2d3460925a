#pragma once
/// What an objective builds, in host memory, and what networks answer, asked one time a row.
#include "gradient.hpp"

namespace onestep::test::built {

struct built_problem {
    std::vector<double> x, t, target;
    std::vector<regression_row<double>> rows;
    std::vector<std::int32_t> labels;
};

/// Not inlined: GCC 12 takes a model of empty classes for uninitialised.
template <class Objective, class Model, class Older>
[[gnu::noinline]] built_problem build_with(Objective const& objective, Model& model, Older& older, batch<double, backend_type> const& data,
                                           random_key key) {
    auto const memory = device().scratch();
    auto const p = [&] {
        if constexpr (builds_with_target<Objective, Model, Older, double, backend_type>)
            return objective.build(model, older, data, key, *memory);
        else return objective.build(model, data, key, *memory);
    }();
    index_t const n = p.call.x.rows();
    built_problem out{to_host(p.call.x), to_host(p.call.t), std::vector<double>(static_cast<std::size_t>(p.call.x.size())), {}, {}};
    out.rows.resize(static_cast<std::size_t>(n));
    device().download(p.target, p.call.x.size(), out.target.data());
    device().download(p.rows, n, out.rows.data());
    if (p.call.labels.data() != nullptr) out.labels = to_host(p.call.labels);
    return out;
}
template <class Objective, class Model>
built_problem build(Objective const& objective, Model& model, batch<double, backend_type> const& data, random_key key) {
    return build_with(objective, model, model, data, key);
}

/// x0 as the model says it at x, row r at times[r]: F by one evaluation, then x0 by Cramer's rule.
template <class Model>
[[gnu::noinline]] std::vector<double> clean_of(Model& model, std::vector<double> const& x, std::vector<double> const& times,
                                               std::vector<std::int32_t> const& labels = {}) {
    auto const n = static_cast<index_t>(times.size()), d = static_cast<index_t>(x.size()) / n;
    std::vector<double> read = x, clocks(times.size());
    for (std::size_t r = 0; r < times.size(); ++r) {
        network_input const ask = model.input_at(times[r]);
        clocks[r] = ask.time;
        for (index_t c = 0; c < d; ++c) read[r * static_cast<std::size_t>(d) + static_cast<std::size_t>(c)] *= ask.scale;
    }
    tensor<double, backend_type> const at(device(), {n, d}, read), t(device(), {n}, clocks);
    tensor<double, backend_type> f(device(), {n, d});
    if (labels.empty()) {
        model.network()(at.view(), t.view(), f.view());
    } else {
        tensor<std::int32_t, backend_type> const given(device(), {n}, labels);
        model.network()(at.view(), t.view(), given.view(), f.view());
    }
    std::vector<double> out = f.to_host();
    for (std::size_t i = 0; i < out.size(); ++i) {
        marginal const m = marginal_at(model.process(), times[i / static_cast<std::size_t>(d)]);
        auto const [p, q] = model.target().weights(m);
        out[i] = (q * x[i] - m.sigma * out[i]) / (m.alpha * q - m.sigma * p);
    }
    return out;
}

/// The noise that a batch of that shape draws.
inline std::vector<double> drawn_noise(shape const& extents, random_key key) {
    tensor<double, backend_type> z(device(), extents);
    fill_normal(z.view(), key.at(draw::noise));
    return z.to_host();
}

}  // namespace onestep::test::built
