#pragma once
/// What the tests of flow maps' objectives share: networks asked and problems read on the host, in double.
#include <onestep/model/flow_map_model.hpp>

#include "gradient.hpp"

namespace onestep::test::two_times {

/// A network for two numbers a row, with labels 0, 1, 2.
inline mlp<double, backend_type> two_time_mlp(std::uint64_t seed = 3) {
    mlp<double, backend_type> net(
        device(), {.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = 3, .second_time = true});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{seed}.at(draw::user), 0.4);
    return net;
}

/// F of rows given on the host; labels may be empty.
template <class Network>
std::vector<double> answers(Network& net, std::vector<double> const& x, std::vector<double> const& t, std::vector<double> const& s,
                            std::vector<std::int32_t> const& labels = {}) {
    auto const n = static_cast<index_t>(t.size()), d = static_cast<index_t>(x.size()) / n;
    tensor<double, backend_type> const at(device(), {n, d}, x), from(device(), {n}, t), to(device(), {n}, s);
    tensor<double, backend_type> y(device(), {n, d});
    if (labels.empty()) net(at.view(), from.view(), to.view(), y.view());
    else {
        tensor<std::int32_t, backend_type> const given(device(), {n}, labels);
        net(at.view(), from.view(), to.view(), given.view(), y.view());
    }
    return y.to_host();
}

/// A problem in host memory; `output` is empty where the builder has not run the network.
struct host_problem {
    std::vector<double> x, t, s, target, output;
    std::vector<std::int32_t> labels;
    std::vector<regression_row<double>> rows;
};
inline host_problem on_host(regression<double, backend_type> const& p) {
    auto const size = static_cast<std::size_t>(p.call.x.size()), n = static_cast<std::size_t>(p.call.x.rows());
    host_problem out{to_host(p.call.x), to_host(p.call.t), to_host(p.call.s), std::vector<double>(size), {}, {}, {}};
    device().download(p.target, p.call.x.size(), out.target.data());
    out.rows.resize(n);
    device().download(p.rows, p.call.x.rows(), out.rows.data());
    if (p.output) {
        out.output.resize(size);
        device().download(p.output, p.call.x.size(), out.output.data());
    }
    if (p.call.labels.data()) out.labels = to_host(p.call.labels);
    return out;
}

/// x_t and the velocity of its path for rows of `d` numbers.
struct host_path {
    std::vector<double> x, v;
    template <class Process>
    host_path(Process const& p, std::vector<double> const& t, std::vector<double> const& x0, std::vector<double> const& noise) {
        std::size_t const d = x0.size() / t.size();
        for (std::size_t i = 0; i < x0.size(); ++i) {
            marginal const m = marginal_at(p, t[i / d]);
            x.push_back(m.alpha * x0[i] + m.sigma * noise[i]);
            v.push_back(m.alpha_derivative * x0[i] + m.sigma_derivative * noise[i]);
        }
    }
};

/// A batch of n pairs of two numbers with labels 0, 1, 2, 0, ...
struct labelled_pairs {
    tensor<double, backend_type> x0, noise;
    tensor<std::int32_t, backend_type> labels;
    explicit labelled_pairs(index_t n)
        : x0(normal<double>(device(), {n, 2}, 4)), noise(normal<double>(device(), {n, 2}, 5)), labels(device(), {n}, numbers(n)) {}
    batch<double, backend_type> with_labels() const { return {x0.view(), noise.view(), labels.view()}; }
    batch<double, backend_type> without_labels() const { return {x0.view(), noise.view()}; }

    static std::vector<std::int32_t> numbers(index_t n) {
        std::vector<std::int32_t> out;
        for (index_t r = 0; r < n; ++r) out.push_back(static_cast<std::int32_t>(r % 3));
        return out;
    }
};

/// An mlp that offers only what every trainable network has: no jvp, no forward_jvp, no classes().
struct plain_two_time_network {
    mlp<double, backend_type> net;
    using input = view<double const, backend_type>;
    using output = view<double, backend_type>;
    void operator()(input x, input t, input s, output y) const { net(x, t, s, y); }
    void operator()(input x, input t, input s, view<std::int32_t const, backend_type> labels, output y) const { net(x, t, s, labels, y); }
    void forward(input x, input t, input s, output y) { net.forward(x, t, s, y); }
    void forward(input x, input t, input s, view<std::int32_t const, backend_type> labels, output y) { net.forward(x, t, s, labels, y); }
    void backward(input dy) { net.backward(dy); }
    output parameters() { return net.parameters(); }
    output gradients() { return net.gradients(); }
};

}  // namespace onestep::test::two_times
