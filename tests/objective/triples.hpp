#pragma once
/// What the tests of objectives of three times share: triples of one's own, and flow maps by their printed formulas, in double.
#include <onestep/model/ddim_rule.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/target/scaled_velocity.hpp>
#include <onestep/time/triple.hpp>

#include "two_times.hpp"

namespace onestep::test::triples {

using namespace two_times;

using numbers = std::vector<double>;

/// Row r is at t[r], u[r], s[r].
struct listed_triples {
    static constexpr char const* name = "listed_triples";
    numbers t, u, s;
    time_triple sample(process auto const&, random_stream, index_t row, index_t) const {
        auto const r = static_cast<std::size_t>(row);
        return {t.at(r), u.at(r), s.at(r)};
    }
    void fields(auto&&) const {}
};

/// n triples with levels log-uniform in [low, high], `alike` rows beside each other at the same; u = s every third time.
template <class Process> listed_triples random_triples(Process const& p, index_t n, double low, double high, index_t alike = 1) {
    listed_triples out;
    random_stream const stream = random_key{5}.at(draw::user);
    for (index_t r = 0; r < n; ++r) {
        double level[3];
        index_t const g = r / alike;
        for (int k = 0; k < 3; ++k) level[k] = low * std::pow(high / low, uniform(stream, g, static_cast<std::uint64_t>(k)));
        std::sort(level, level + 3);
        out.t.push_back(time_of_noise_to_signal(p, level[2]));
        out.s.push_back(time_of_noise_to_signal(p, level[0]));
        out.u.push_back(g % 3 == 2 ? out.s.back() : time_of_noise_to_signal(p, level[1]));
    }
    return out;
}

/// x_s = x x_t + output F(scale x_t, t, s), by the formulas of the papers.
struct printed_map {
    double x, output, scale;
};
inline printed_map printed(rectified_flow const&, average_velocity const&, double t, double s) { return {1, s - t, 1}; }
inline printed_map printed(rectified_flow const&, ddim_rule<scaled_velocity> const&, double t, double s) {
    return {1, s - t, 1 / std::sqrt(t * t + (1 - t) * (1 - t))};
}
inline printed_map printed(edm const&, ddim_rule<> const&, double t, double s) {
    double const sd = 0.5, total = t * t + sd * sd;
    return {s / t + (1 - s / t) * sd * sd / total, (1 - s / t) * t * sd / std::sqrt(total), 1 / std::sqrt(total)};
}

/// X(x_r, t_r, s_r) of every row, x itself where t = s.
template <class Process, class Rule, class Network>
numbers printed_values(Process const& p, Rule const& rule, Network& net, numbers const& x, numbers const& t, numbers const& s,
                       std::vector<std::int32_t> const& labels = {}) {
    std::size_t const d = x.size() / t.size();
    numbers read(x.size()), out(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) read[i] = printed(p, rule, t[i / d], s[i / d]).scale * x[i];
    numbers const f = answers(net, read, t, s, labels);
    for (std::size_t i = 0; i < x.size(); ++i) {
        printed_map const map = printed(p, rule, t[i / d], s[i / d]);
        out[i] = t[i / d] == s[i / d] ? x[i] : map.x * x[i] + map.output * f[i];
    }
    return out;
}

/// alpha x0 + sigma epsilon of every row.
template <class Process> numbers mixed(Process const& p, numbers const& t, numbers const& x0, numbers const& noise) {
    return host_path(p, t, x0, noise).x;
}

/// Objectives' problems on the host. Not inlined: GCC 12 takes a model of empty classes for uninitialised.
template <class Objective, class Model, class Target>
[[gnu::noinline]] host_problem build(Objective const& objective, Model& model, Target& older, batch<double, backend_type> const& data,
                                     random_key key = {}) {
    auto const memory = device().scratch();
    return on_host(objective.build(model, older, data, key, *memory));
}

}  // namespace onestep::test::triples
