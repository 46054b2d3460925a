#pragma once
/// How likely samples are under a model: the density that its probability-flow ODE carries from the noise to the data.
#include <cmath>
#include <string>
#include <vector>

#include "../sampler/sample.hpp"
#include "samples.hpp"

namespace onestep {

namespace functor {
/// +1 or -1 with equal chances: the sign of a normal deviate.
template <class T> struct store_sign {
    T* v;
    ONESTEP_HD void operator()(index_t, index_t position, float z) const { v[position] = z < 0.0f ? T(-1) : T(1); }
};
/// The k-th unit vector in every row.
template <class T> struct store_unit {
    T* v;
    index_t cols, k;
    ONESTEP_HD void operator()(index_t i) const { v[i] = i % cols == k ? T(1) : T(0); }
};
template <class T> struct product_term {
    T const *a, *b;
    index_t cols;
    ONESTEP_HD double operator()(index_t r, index_t c) const {
        return static_cast<double>(a[r * cols + c]) * static_cast<double>(b[r * cols + c]);
    }
};
/// total += weight * sum of the row.
struct add_weighted_sum {
    double* total;
    double weight;
    ONESTEP_HD void operator()(index_t r, double sum) const { total[r] = math::fma(weight, sum, total[r]); }
};
}  // namespace functor

// Traces of a Jacobian J from products J v. A rule says how many directions v it takes, makes them, and what each counts:
// trace = weight * sum over v of v.(J v). Row r draws for sample key.first_sample + r.

/// Random signs: the estimate of Hutchinson with the smallest variance, 2 sum of J_ij^2 over i != j for symmetric J; exact for a
/// diagonal J. Its cost does not depend on the dimension.
/// Source: Hutchinson 1990 (Commun. Stat. Simul. 19, 433).
struct rademacher_probes {
    static constexpr char const* name = "rademacher_probes";
    int count = 1;  ///< directions, >= 1; the variance falls as 1 / count

    index_t directions(index_t) const { return count; }
    double weight() const { return 1.0 / count; }
    template <class T, class Backend> void direction(view<T, Backend> v, random_key key, index_t k) const {
        for_each_normal(v.backend(), key.at(draw::probe, static_cast<std::uint64_t>(k)), v.rows(), v.cols(),
                        functor::store_sign<T>{v.data()});
    }
    void fields(auto&& visit) const { visit("count", count); }
    friend bool operator==(rademacher_probes const&, rademacher_probes const&) = default;
};

/// Normal directions: variance 2 sum of all J_ij^2 for symmetric J.
struct normal_probes {
    static constexpr char const* name = "normal_probes";
    int count = 1;  ///< directions, >= 1; the variance falls as 1 / count

    index_t directions(index_t) const { return count; }
    double weight() const { return 1.0 / count; }
    template <class T, class Backend> void direction(view<T, Backend> v, random_key key, index_t k) const {
        fill_normal(v, key.at(draw::probe, static_cast<std::uint64_t>(k)));
    }
    void fields(auto&& visit) const { visit("count", count); }
    friend bool operator==(normal_probes const&, normal_probes const&) = default;
};

/// All d unit vectors: no chance in it, d times the cost. For small d.
struct exact_trace {
    static constexpr char const* name = "exact_trace";

    index_t directions(index_t d) const { return d; }
    double weight() const { return 1; }
    template <class T, class Backend> void direction(view<T, Backend> v, random_key, index_t k) const {
        v.backend().for_each_index(v.size(), functor::store_unit<T>{v.data(), v.cols(), k});
    }
    void fields(auto&&) const {}
    friend bool operator==(exact_trace const&, exact_trace const&) = default;
};

template <class R>
concept trace_rule = spec<R> && requires(R const& rule, index_t d) {
    { rule.directions(d) } -> std::same_as<index_t>;
    { rule.weight() } -> std::same_as<double>;
};

/// The numbers of a likelihood.
struct likelihood_options {
    int steps = 100;         ///< of the grid, each one step of rk4; >= 1
    double data_time = 0;    ///< the time that the samples belong to; 0: t_min or, without a velocity there, 1e-5 of the range above it
    double noise_time = 0;   ///< where the path ends; 0: t_max or, without a velocity there, 1e-5 of the range below it
    double bits_offset = 0;  ///< added to bits_per_dim: log2 of the grey levels in a unit of x, 7 for 256 levels on [-1, 1], 8 on [0, 1]
};

/// What was found. Converts to bits_per_dim.
struct likelihood_report {
    std::vector<double> log_density;  ///< log p(x) of each row, in nats
    double mean = 0;                  ///< of log_density
    double bits_per_dim = 0;          ///< -mean / (d log 2) + bits_offset
    index_t n = 0, d = 0;
    index_t evaluations = 0;  ///< of the network with its derivative along one direction, each of all rows

    operator double() const { return bits_per_dim; }
};

/// "likelihood = 3.2 bits a dimension (log density = -1740.5 nats, n = 100, d = 784)".
inline std::string to_string(likelihood_report const& r) {
    return "likelihood = " + to_string(r.bits_per_dim) + " bits a dimension (log density = " + to_string(r.mean) +
           " nats, n = " + std::to_string(r.n) + ", d = " + std::to_string(r.d) + ")";
}

namespace evaluation {

/// A network that adds weight * v.(dF/dx v) of every call to a sum for each row.
template <class Network, class Rule, class T, class Backend> class traced {
public:
    traced(Network& net, Rule const& rule, random_key key, view<T, Backend> x, arena<Backend>& memory)
        : net_(net), rule_(rule), key_(key), v_(x.backend(), memory.template take<T>(x.size()), x.shape()),
          jacobian_v_(x.backend(), memory.template take<T>(x.size()), x.shape()),
          still_(x.backend(), memory.template take<T>(x.rows()), {x.rows()}),
          sums_(x.backend(), memory.template take<double>(x.rows()), {x.rows()}) {
        fill(still_, 0);
        fill(sums_, 0);
    }
    /// What the next call counts.
    void expect(double weight) { weight_ = weight; }
    void operator()(view<T const, Backend> x, view<T const, Backend> t, view<T, Backend> y) {
        view<T const, Backend> const v = v_, still = still_;
        for (index_t k = 0, count = rule_.directions(x.cols()); k < count; ++k, ++evaluations_) {
            rule_.direction(v_, key_, k);  // the same ones at every time: else the sum would not be that of one path
            net_.jvp(x, v, t, still, y, jacobian_v_);
            x.backend().template reduce_rows<double>(x.rows(), x.cols(), functor::product_term<T>{v_.data(), jacobian_v_.data(), x.cols()},
                                                     functor::add_weighted_sum{sums_.data(), weight_ * rule_.weight()});
        }
    }
    view<double, Backend> sums() const { return sums_; }
    index_t evaluations() const { return evaluations_; }

private:
    Network& net_;
    Rule rule_;
    random_key key_;
    view<T, Backend> v_, jacobian_v_, still_;
    view<double, Backend> sums_;
    double weight_ = 0;
    index_t evaluations_ = 0;
};

/// The classical Runge-Kutta method for x and for the integral of the velocity's divergence at once:
///
///     u = a x + b F(c x):     div u = a d + b c tr(dF/dx)
template <class Traced> struct traced_rk4 {
    static constexpr char const* name = "traced_rk4";
    static constexpr int order = 4;
    int steps;
    Traced* net;
    double* constant;  ///< the part that is equal for all rows, for each element

    void step(auto& run, double t, double s) const {
        double const h = s - t;
        auto const x = run.x();
        auto const slope = [&](auto const& at, double time, double weight) {
            conversion const c = run.model().velocity_at(time);
            *constant += weight * c.x;
            net->expect(weight * c.output * input_scale_of(run.model().target(), marginal_at(run.process(), time)));
            return run.velocity(at, time);
        };
        auto const stage = [&](auto const& k, double length) {
            auto const at = run.scratch();
            affine_step move(at);
            move.add(1, x);
            k.add_to(move, length);
            move.run();
            return at;
        };
        auto const k1 = slope(x, t, h / 6);
        auto const k2 = slope(stage(k1, h / 2), t + h / 2, h / 3);
        auto const k3 = slope(stage(k2, h / 2), t + h / 2, h / 3);
        auto const k4 = slope(stage(k3, h), s, h / 6);
        affine_step next(x);
        next.add(1, x);
        k1.add_to(next, h / 6);
        k2.add_to(next, h / 3);
        k3.add_to(next, h / 3);
        k4.add_to(next, h / 6);
        next.run();
    }
    void fields(auto&& visit) const { visit("steps", steps); }
};

}  // namespace evaluation

/// log p(x) of samples x [n, ...] by the instantaneous change of variables along the probability-flow ODE dx/dt = u(x, t),
///
///     log p(x) = log N(x_T; 0, prior^2) + integral of div u(x_t, t) dt from the data to the noise,
///
/// with prior_scale_of(process) at t_max, sigma where the path ends before. The divergence is that of the network's own derivative,
/// by random directions (the default; unbiased) or exactly:
///
///     auto bits = onestep::likelihood(model, x, onestep::exact_trace{});
///
/// It is the density of the continuous flow: a number of steps that samples well may still be too small for it, so double it until
/// nothing changes. Models of one or few steps (shortcut, mean flow, consistency) have no likelihood by this way. Images of
/// whole grey levels need uniform noise of one level added first.
///
/// Row r depends on row r of x and on sample key.first_sample + r alone. Any target and process; the grid runs from noise_time to
/// data_time and is walked backwards.
/// Cost: 4 steps x directions evaluations of jvp, 10 tensors of x's shape. Order: 4 (tests/evaluation/likelihood.cpp).
/// Throws shape_error if x is empty, domain_error for steps < 1, fewer than one direction and times where the model has no
/// velocity, not_finite_error where a density is not finite.
/// Source: Chen et al. 2018 (arXiv:1806.07366), theorem 1; Grathwohl et al. 2018 (arXiv:1810.01367); Song et al. 2021
/// (arXiv:2011.13456), appendix D.2.
template <class Model, sample_set Samples, class Rule = rademacher_probes, class Grid = uniform_grid>
likelihood_report likelihood(Model const& model, Samples const& x, Rule const& rule = {}, likelihood_options const& options = {},
                             random_key key = {}, Grid const& grid = {}) {
    using value_type = std::remove_const_t<typename Samples::value_type>;
    using backend_type = typename Samples::backend_type;
    using network_type = std::remove_reference_t<decltype(model.network())>;
    constexpr char const* name = "likelihood";
    static_assert(denoiser<Model>, "The likelihood is that of a denoiser: model{net, process, target}.");
    static_assert(
        !requires { model.limits(); }, "A model with limits has no likelihood: its flow is not the network's.");
    static_assert(differentiable_network<network_type, value_type, backend_type>,
                  "The likelihood needs the network's derivative: jvp(x, vx, t, vt, y, vy).");
    static_assert(trace_rule<Rule>, "How the divergence is found is rademacher_probes{}, normal_probes{} or exact_trace{}.");
    if (x.size() == 0) raise<shape_error>(name, "x is empty", "at least 1 sample is needed");
    if (options.steps < 1) raise<domain_error>(name, "steps is " + std::to_string(options.steps), "at least 1 is needed");
    if (rule.directions(x.shape().cols()) < 1)
        raise<domain_error>(Rule::name, "count is " + std::to_string(rule.directions(1)), "at least 1 is needed");

    auto const& process = model.process();
    double const range = process.t_max() - process.t_min();
    auto const has_velocity = [&](double t) {
        return has_network_time(model.target(), process, t) && is_convertible(model.target(), velocity{}, marginal_at(process, t));
    };
    double data_time = options.data_time, noise_time = options.noise_time;
    if (data_time == 0) data_time = process.t_min() + (has_velocity(process.t_min()) ? 0 : 1e-5 * range);
    if (noise_time == 0) noise_time = has_velocity(process.t_max()) ? process.t_max() : process.t_max() - 1e-5 * range;
    if (!(data_time < noise_time))
        raise<domain_error>(name, "data_time is " + to_string(data_time) + " and noise_time is " + to_string(noise_time),
                            "data_time must be less");
    std::vector<double> times(static_cast<std::size_t>(options.steps) + 1);
    for (int i = 0; i <= options.steps; ++i)
        times[static_cast<std::size_t>(options.steps - i)] = grid.time(process, noise_time, data_time, options.steps, i);
    require_monotone(times);

    auto const memory = x.backend().scratch();
    tensor<value_type, backend_type> state(x.backend(), x.shape());
    affine_step<value_type, backend_type>(state.view()).add(1, x).run();
    index_t const n = state.rows(), d = state.cols();
    evaluation::traced<network_type, Rule, value_type, backend_type> net(model.network(), rule, key, state.view(), *memory);
    double constant = 0;
    using traced_network = decltype(net);
    // spelt out: nvcc loses the name of the class template beside the parameter
    onestep::model<traced_network&, std::remove_cvref_t<decltype(process)>, std::remove_cvref_t<decltype(model.target())>> const followed(
        net, process, model.target());
    solve(followed, evaluation::traced_rk4<traced_network>{options.steps, &net, &constant}, times, state.view());

    // log N(x; 0, prior^2) of each row
    double const prior = times.back() == process.t_max() ? prior_scale_of(process) : process.sigma(times.back());
    state.backend().template reduce_rows<double>(n, d, functor::product_term<value_type>{state.data(), state.data(), d},
                                                 functor::add_weighted_sum{net.sums().data(), -0.5 / (prior * prior)});
    double const normalisation = static_cast<double>(d) * (constant - std::log(prior) - 0.91893853320467274);  // log sqrt(2 pi)

    likelihood_report report{to_host(net.sums()), 0, 0, n, d, net.evaluations()};
    for (std::size_t r = 0; r < report.log_density.size(); ++r) {
        double& value = report.log_density[r];
        value += normalisation;
        if (!std::isfinite(value))
            raise<not_finite_error>(name, "the log density of sample " + std::to_string(r) + " is " + to_string(value),
                                    "the sample, its path or a derivative along it is NaN or infinite, or the steps are too long");
        report.mean += value;
    }
    report.mean /= static_cast<double>(n);
    report.bits_per_dim = -report.mean / (static_cast<double>(d) * 0.69314718055994531) + options.bits_offset;
    return report;
}

}  // namespace onestep
