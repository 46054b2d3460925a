#pragma once
/// What the tests of discrete consistency objectives share: pairs of one's own, consistency functions by their printed formulas, and
/// problems read on the host, in double.
#include <onestep/model/consistency_model.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/pair.hpp>

#include "gradient.hpp"

namespace onestep::test::consistency {

using numbers = std::vector<double>;
using data_type = batch<double, backend_type>;

/// Row r goes from t[r] to s[r].
struct listed_pairs {
    static constexpr char const* name = "listed_pairs";
    numbers t, s;
    time_pair sample(process auto const&, random_stream, index_t row, index_t) const {
        return {t.at(static_cast<std::size_t>(row)), s.at(static_cast<std::size_t>(row))};
    }
    void fields(auto&&) const {}
};

/// n pairs with both noise levels log-uniform in [low, high]; in every fourth row s is the process's end.
template <class Process> listed_pairs random_pairs(Process const& p, index_t n, double low, double high, std::uint64_t seed = 5) {
    listed_pairs pairs;
    random_stream const stream = random_key{seed}.at(draw::user);
    for (index_t r = 0; r < n; ++r) {
        auto const time = [&](std::uint64_t q) { return time_of_noise_to_signal(p, low * std::pow(high / low, uniform(stream, r, q))); };
        double const a = time(0), b = time(1);
        pairs.t.push_back(std::fmax(a, b));
        pairs.s.push_back(r % 4 == 3 ? p.t_min() : std::fmin(a, b));
    }
    return pairs;
}

/// f = x x_t + output F(scale x_t, told), by the formulas of the papers.
struct printed_map {
    double x, output, scale, told;
};

inline printed_map printed(edm const&, marginal const& m) {
    double const sd = 0.5, sm = 0.002, se = m.sigma, total = se * se + sd * sd;
    if (se <= sm) return {1, 0, 1, 0};
    return {sd * sd / ((se - sm) * (se - sm) + sd * sd), sd * (se - sm) / std::sqrt(total), 1 / std::sqrt(total), std::log(se) / 4};
}
inline printed_map printed(variance_preserving<> const& p, marginal const& m) {
    double const sd = 0.5, se = m.sigma / m.alpha, sm = p.sigma(p.t_min()) / p.alpha(p.t_min()), total = se * se + sd * sd;
    if (se <= sm) return {1 / m.alpha, 0, 1, 0};
    return {sd * sd / ((se - sm) * (se - sm) + sd * sd) / m.alpha, sd * (se - sm) / std::sqrt(total), 1 / m.alpha / std::sqrt(total),
            std::log(se) / 4};
}
inline printed_map printed(rectified_flow const&, marginal const& m) { return {1, -m.t, 1, m.t}; }
inline printed_map printed(trigonometric_flow const&, marginal const& m) { return {std::cos(m.t), -0.5 * std::sin(m.t), 2, m.t}; }

/// F of rows given on the host; labels may be empty.
template <class Network> numbers answers(Network& net, numbers const& x, numbers const& t, std::vector<std::int32_t> const& labels = {}) {
    auto const n = static_cast<index_t>(t.size()), d = static_cast<index_t>(x.size()) / n;
    tensor<double, backend_type> const at(device(), {n, d}, x), times(device(), {n}, t);
    tensor<double, backend_type> y(device(), {n, d});
    if (labels.empty()) net(at.view(), times.view(), y.view());
    else {
        tensor<std::int32_t, backend_type> const given(device(), {n}, labels);
        net(at.view(), times.view(), given.view(), y.view());
    }
    return y.to_host();
}

/// f(x_r, t_r) of every row.
template <class Process, class Network>
numbers printed_values(Process const& p, Network& net, numbers const& x, numbers const& t, std::vector<std::int32_t> const& labels = {}) {
    std::size_t const d = x.size() / t.size();
    numbers read(x.size()), told(t.size()), f(x.size());
    for (std::size_t r = 0; r < t.size(); ++r) {
        printed_map const map = printed(p, marginal_at(p, t[r]));
        told[r] = map.told;
        for (std::size_t i = d * r; i < d * (r + 1); ++i) read[i] = map.scale * x[i];
    }
    numbers const output = answers(net, read, told, labels);
    for (std::size_t i = 0; i < x.size(); ++i) {
        printed_map const map = printed(p, marginal_at(p, t[i / d]));
        f[i] = map.x * x[i] + (map.output == 0 ? 0 : map.output * output[i]);
    }
    return f;
}

/// x = alpha x0 + sigma epsilon of every row.
template <class Process> numbers mixed(Process const& p, numbers const& t, numbers const& x0, numbers const& noise) {
    std::size_t const d = x0.size() / t.size();
    numbers x;
    for (std::size_t i = 0; i < x0.size(); ++i) x.push_back(p.alpha(t[i / d]) * x0[i] + p.sigma(t[i / d]) * noise[i]);
    return x;
}

/// A problem in host memory. Built by a function that is not inlined: GCC 12 takes a model of empty classes for uninitialised.
struct host_problem {
    numbers x, t, target;
    std::vector<regression_row<double>> rows;
};
template <class Objective, class Model, class Target>
[[gnu::noinline]] host_problem build(Objective const& objective, Model const& model, Target& older, data_type const& data,
                                     random_key key = {}) {
    auto const memory = device().scratch();
    auto const p = objective.build(model, older, data, key, *memory);
    host_problem out{to_host(p.call.x), to_host(p.call.t), numbers(static_cast<std::size_t>(p.call.x.size())), {}};
    out.rows.resize(static_cast<std::size_t>(p.call.x.rows()));
    device().download(p.target, p.call.x.size(), out.target.data());
    device().download(p.rows, p.call.x.rows(), out.rows.data());
    return out;
}

/// The student's side of a problem: what the network reads and is told, and a x + b F = f.
template <class Process> void check_student(host_problem const& p, Process const& process, numbers const& t, numbers const& x) {
    std::size_t const d = x.size() / t.size();
    for (std::size_t r = 0; r < t.size(); ++r) {
        printed_map const map = printed(process, marginal_at(process, t[r]));
        CHECK(p.t[r] == doctest::Approx(map.told).epsilon(1e-9));
        CHECK(p.rows[r].a * map.scale == doctest::Approx(map.x).epsilon(1e-9));
        CHECK(p.rows[r].b == doctest::Approx(map.output).epsilon(1e-9));
        for (std::size_t i = d * r; i < d * (r + 1); ++i) CHECK(p.x[i] == doctest::Approx(map.scale * x[i]).epsilon(1e-9));
    }
}

inline mlp<double, backend_type> small_mlp(std::uint64_t seed = 3, int classes = 0) {
    mlp<double, backend_type> net(device(), {.data = {2}, .width = 5, .blocks = 1, .time = {.size = 4, .scale = 2}, .classes = classes});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{seed}.at(draw::user), 0.4);
    return net;
}

/// n pairs of two numbers, with labels 0, 1, 2, 0, ... where wanted.
struct given_data {
    tensor<double, backend_type> x0, noise;
    tensor<std::int32_t, backend_type> labels;
    explicit given_data(index_t n)
        : x0(normal<double>(device(), {n, 2}, 4)), noise(normal<double>(device(), {n, 2}, 5)), labels(device(), {n}, classes(n)) {}
    data_type pairs() const { return {x0.view(), noise.view()}; }
    data_type labelled() const { return {x0.view(), noise.view(), labels.view()}; }

    static std::vector<std::int32_t> classes(index_t n) {
        std::vector<std::int32_t> out;
        for (index_t r = 0; r < n; ++r) out.push_back(static_cast<std::int32_t>(r % 3));
        return out;
    }
};

}  // namespace onestep::test::consistency
