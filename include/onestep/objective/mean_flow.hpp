#pragma once
#include "../backend/fill.hpp"
#include "../time/bounded_pair.hpp"
#include "../time/sorted_pair.hpp"
#include "label_dropout.hpp"
#include "velocity_rows.hpp"

namespace onestep {

/// The derivative along the path is the network's own: jvp(x, vx, t, vt, s, vs, y, vy), or forward_jvp, which makes the prediction in the
/// same pass.
struct by_jvp {
    static constexpr char const* name = "by_jvp";
    void fields(auto&&) const {}
    friend bool operator==(by_jvp const&, by_jvp const&) = default;
};

/// The derivative along the path is a difference quotient, for networks without jvp: between the points (x + h v, t + h) and
/// (x - h v, t - h), of which neither leaves [s, t_max]. Two evaluations. In single precision its own rounding is about 1e-7 / step of the
/// network's size; a larger step than the default is then better for networks that are smooth in t.
struct by_quotient {
    static constexpr char const* name = "by_quotient";
    double step = 1e-4;  ///< h > 0, as a share of the process's time range
    void fields(auto&& visit) const { visit("step", step); }
    friend bool operator==(by_quotient const&, by_quotient const&) = default;
};

/// Numbers of mean flow.
struct mean_flow_options {
    static constexpr char const* name = "mean_flow_options";
    /// Share of rows with s = t, in [0, 1]. Official code for ImageNet calls it data_proportion and takes 0.75; for CIFAR-10 it is one
    /// minus `ratio`, 0.25.
    double flow_matching_fraction = 0.75;
    double omega = 1, kappa = 0;            ///< guidance inside the target; 1 and 0: none. Effective scale omega / (1 - kappa)
    double guided_from = 0, guided_to = 1;  ///< times of x_t at which it is guided, as shares of the process's time range
    double label_dropout = 0.1;             ///< share of rows that see no label, and no guidance
    double warmup = 0;                      ///< steps over which the derivative's factor rises from 0 to 1; 0: it is 1 at once

    void fields(auto&& visit) const {
        visit("flow_matching_fraction", flow_matching_fraction);
        visit("omega", omega);
        visit("kappa", kappa);
        visit("guided_from", guided_from);
        visit("guided_to", guided_to);
        visit("label_dropout", label_dropout);
        visit("warmup", warmup);
    }
    friend bool operator==(mean_flow_options const&, mean_flow_options const&) = default;
};

/// d network_time / dt of a process: 1 where the network is told t itself, network_time_derivative(t) where the process has it, else a
/// difference quotient inside its range.
template <process P> double network_time_slope(P const& p, double t) {
    if constexpr (requires { p.network_time_derivative(t); }) {
        return p.network_time_derivative(t);
    } else if constexpr (requires { p.network_time(t); }) {
        double const h = 1e-5 * (p.t_max() - p.t_min()), above = std::fmin(t + h, p.t_max()), before = std::fmax(t - h, p.t_min());
        return (p.network_time(above) - p.network_time(before)) / (above - before);
    } else {
        return 1;
    }
}

/// Whether a network of two times has a derivative, with labels or without.
template <class N, class T, class Backend>
concept has_two_time_jvp = two_time_differentiable_network<N, T, Backend> ||
    requires(N& net, view<T const, Backend> x, view<std::int32_t const, Backend> labels, view<T, Backend> y) {
    net.jvp(x, x, x, x, x, x, labels, y, y);
};

/// Numbers of a row of mean flow.
template <class T> struct mean_flow_row {
    T length;                 ///< t - s, times the warm-up's factor
    T velocity, none, given;  ///< v_g = velocity v + none u(x; t, t | none) + given u(x; t, t | label)
    T above = 0, before = 0;  ///< distances of the points of a difference quotient, in t
};

namespace functor {
/// target = v_g, where the row has a label.
template <class T> struct mean_flow_guide {
    mean_flow_row<T> const* rows;
    std::int32_t const* labels;
    T const *none, *given;  // null: does not count
    T* target;
    std::int32_t no_label;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        if (labels[r] == no_label) return;
        index_t const i = r * cols + c;
        mean_flow_row<T> const row = rows[r];
        T v = row.velocity * target[i];
        if (none) v = math::fma(row.none, none[i], v);
        if (given) v = math::fma(row.given, given[i], v);
        target[i] = v;
    }
};
/// target = v_g - length du/dt.
template <class T> struct mean_flow_subtract {
    mean_flow_row<T> const* rows;
    T const* slope;
    T* target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        target[i] = math::fma(-rows[r].length, slope[i], target[i]);
    }
};
/// The two points of a difference quotient along v.
template <class T> struct mean_flow_points {
    mean_flow_row<T> const* rows;
    T const *x, *v;
    T *above, *before;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        mean_flow_row<T> const row = rows[r];
        T const at = x[i], along = v[i];
        above[i] = math::fma(row.above, along, at);
        before[i] = math::fma(-row.before, along, at);
    }
};
/// target = v_g - length (difference quotient).
template <class T> struct mean_flow_subtract_quotient {
    mean_flow_row<T> const* rows;
    T const *above, *before;
    T* target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        mean_flow_row<T> const row = rows[r];
        T const distance = row.above + row.before;
        if (distance > T(0)) target[i] = math::fma(-row.length / distance, above[i] - before[i], target[i]);
    }
};
}  // namespace functor

/// Mean flow: learn average velocities from the identity that ties them to the velocity. With u(x; t, s) = (x_t - x_s) / (t - s) along the
/// flow,
///
///     u = v - (t - s) du/dt        du/dt = (du/dx) v + du/dt at fixed s
///     target = v_g - (t - s) du_theta/dt, held constant          v_g = v = alpha' x0 + sigma' epsilon without guidance
///
/// Rows with s = t are flow matching; they come last in a batch, and only the rows before them ask for a derivative. No teacher, no
/// average, no pairs: on a network with forward_jvp a step costs one forward pass and one more of the rows before.
///
///     onestep::mlp net{device, {.data = {2}, .time = {.scale = 1}, .second_time = true}};     // smooth in t: du/dt enters the target
///     onestep::flow_map_model fast{net};
///     onestep::trainer t{fast, onestep::mean_flow{onestep::squared{}}, onestep::adam{}};
///     auto x = onestep::sample(fast, onestep::jump{}, z);
///
/// Guidance inside the target makes guided samples in one evaluation; sample without more:
///
///     v_g = omega v + (1 - omega - kappa) u_theta(x; t, t | none) + kappa u_theta(x; t, t | label)        v_g = v for rows without label
///
/// Pairs are time_pair_density (time/pair.hpp) and come from (key, time), noise from (key, noise), withheld labels from (key, label).
/// The default distance is the published one. It weighs a row by its own residual, so that what it learns is not the mean of the targets,
/// as the identity asks: a bias that is large for data of few dimensions, whose residuals differ much from row to row. Take `squared`
/// there. adaptive_squared{.power = 0.5} is nearly the normalised residual r / (|r| + c) of later work; `warmup` is from there too (Sabour,
/// Fidler, Kreis 2025, arXiv:2506.14603).
/// Throws domain_error for numbers outside their range, shape_error for noise that is not shaped like x0 and for guidance without labels.
/// Cost: with guidance 1 or 2 more evaluations and one pass; 2 passes otherwise, besides the network.
/// Source: Geng, Deng, Bai, Kolter, He 2025 (arXiv:2505.13447), algorithm 1 and equations 10, 11 and 21.
template <distance Distance = adaptive_squared, spec Pairs = sorted_pair<logit_normal>, spec Derivative = by_jvp> class mean_flow {
public:
    static constexpr char const* name = "mean_flow";
    static_assert(std::same_as<Derivative, by_jvp> || std::same_as<Derivative, by_quotient>,
                  "Mean flow takes its derivative by_jvp or by_quotient.");

    /// Throws domain_error for numbers outside their range.
    explicit mean_flow(mean_flow_options const& options = {}) : mean_flow(Distance{}, usual_pairs(), Derivative{}, options) {}
    explicit mean_flow(Distance const& distance, Pairs const& pairs = usual_pairs(), Derivative const& derivative = {},
                       mean_flow_options const& options = {})
        : distance_(distance), pairs_(pairs), derivative_(derivative), options_(checked(options)) {
        if constexpr (!exact)
            if (!(derivative.step > 0)) raise<domain_error>(Derivative::name, "step is " + to_string(derivative.step), "it must be > 0");
    }

    Distance const& distance() const { return distance_; }
    mean_flow_options const& options() const { return options_; }

    template <class Model, class T, class Backend>
    regression<T, Backend> build(Model& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        require_average_velocity<Model, T, Backend>();
        auto const& process = model.process();
        static_assert(time_pair_density<Pairs, std::remove_cvref_t<decltype(process)>>,
                      "This density draws no pairs of times for the model's process: see time/pair.hpp.");
        static_assert(!exact || has_two_time_jvp<std::remove_reference_t<decltype(model.network())>, T, Backend>,
                      "Mean flow needs the network's derivative, jvp(x, vx, t, vt, s, vs, y, vy); without it choose by_quotient.");
        index_t const n = data.x0.rows(), apart = n - flow_rows(n);
        bool const guides = options_.omega != 1 || options_.kappa != 0;
        if (guides && data.labels.data() == nullptr)
            raise<shape_error>(name, "guidance is asked for and the batch has no labels",
                               "guidance sets labels against none; omega = 1 and kappa = 0 ask for none");
        auto const labels = drop_labels_for(name, model.network(), data.labels, options_.label_dropout, key.at(draw::label), memory);

        random_stream const times = key.at(draw::time);
        auto const step = static_cast<index_t>(key.step);
        double const low = process.t_min(), high = process.t_max(), range = high - low,
                     rise = options_.warmup > 0 ? std::fmin(1, static_cast<double>(step) / options_.warmup) : 1;
        auto const describe = [&](index_t row, double(&told)[times_a_row], mean_flow_row<T>& numbers) {
            auto const [t, before_t] = pairs_.sample(process, times, row, step);
            double const s = row < apart ? before_t : t, share = (t - low) / range;
            bool const guided = share >= options_.guided_from && share <= options_.guided_to;
            double const velocity = guided ? options_.omega : 1, given = guided ? options_.kappa : 0;
            numbers = {static_cast<T>(rise * (t - s)), static_cast<T>(velocity), static_cast<T>(1 - velocity - given),
                       static_cast<T>(given)};
            told[0] = model.input_at(t).time, told[1] = model.input_at(s).time;
            if constexpr (exact) {
                told[2] = network_time_slope(process, t);
            } else {
                double const h = derivative_.step * range, above = std::fmin(t + h, high), before = std::fmax(t - h, s);
                numbers.above = static_cast<T>(above - t), numbers.before = static_cast<T>(t - before);
                told[2] = model.input_at(above).time, told[3] = model.input_at(before).time;
            }
            return marginal_at(process, t);
        };
        auto const rows = make_velocity_rows<times_a_row, mean_flow_row<T>>(name, data, key, memory, describe);
        network_call<T, Backend> const call{rows.first(n, rows.x), rows.time(0, n), rows.time(1, n), labels};
        if (guides) guide(model, call, rows, memory);
        T* const output = apart > 0 ? subtract_slope(model, call, rows, apart, memory) : nullptr;
        return {call, rows.target, rows.rows, output};
    }

    void fields(auto&& visit) const {
        visit("distance", distance_);
        visit("pairs", pairs_);
        visit("derivative", derivative_);
        options_.fields(visit);
    }

private:
    static constexpr bool exact = std::same_as<Derivative, by_jvp>;
    static constexpr int times_a_row = exact ? 3 : 4;

    /// Those of the recipe for ImageNet.
    static Pairs usual_pairs() {
        if constexpr (std::same_as<Pairs, sorted_pair<logit_normal>>) return {{-0.4, 1}};
        else return {};
    }
    static mean_flow_options const& checked(mean_flow_options const& o) {
        if (!(o.flow_matching_fraction >= 0 && o.flow_matching_fraction <= 1))
            raise<domain_error>(name, "flow_matching_fraction is " + to_string(o.flow_matching_fraction), "it must lie in [0, 1]");
        if (!(o.label_dropout >= 0 && o.label_dropout <= 1))
            raise<domain_error>(name, "label_dropout is " + to_string(o.label_dropout), "it must lie in [0, 1]");
        if (!(o.warmup >= 0)) raise<domain_error>(name, "warmup is " + to_string(o.warmup), "it must not be negative");
        if (!std::isfinite(o.omega) || !std::isfinite(o.kappa))
            raise<domain_error>(name, "omega is " + to_string(o.omega) + " and kappa is " + to_string(o.kappa), "both must be finite");
        return o;
    }
    index_t flow_rows(index_t n) const {
        return static_cast<index_t>(std::floor(options_.flow_matching_fraction * static_cast<double>(n) + 1e-9));
    }
    /// target = v_g, from the model's own velocities u(x; t, t) at x_t.
    template <class Model, class T, class Backend>
    void guide(Model& model, network_call<T, Backend> const& call, velocity_rows<T, mean_flow_row<T>, Backend> const& rows,
               arena<Backend>& memory) const {
        if constexpr (has_classes<std::remove_cvref_t<decltype(model.network())>>) {
            auto const no_label = static_cast<std::int32_t>(model.network().classes());
            index_t const n = call.x.rows(), d = call.x.cols();
            network_call<T, Backend> here{call.x, call.t, call.t, call.labels};
            T *given = nullptr, *none = nullptr;
            if (options_.kappa != 0) {
                given = memory.template take<T>(n * d);
                evaluate<true>(model.network(), here, rows.first(n, given));
            }
            if (1 - options_.omega - options_.kappa != 0) {
                view<std::int32_t, Backend> const nothing(*rows.device, memory.template take<std::int32_t>(n), {n});
                fill(nothing, no_label);
                here.labels = nothing;
                none = memory.template take<T>(n * d);
                evaluate<true>(model.network(), here, rows.first(n, none));
            }
            rows.device->for_each_pair(
                n, d, functor::mean_flow_guide<T>{rows.numbers, call.labels.data(), none, given, rows.target, no_label, d});
        } else {
            raise<domain_error>(name, "guidance is asked for", "this network does not say which label means none: it has no classes()");
        }
    }

    /// target = v_g - (t - s) du/dt for the first `apart` rows. Returns the prediction of all rows where it was made in passing.
    template <class Model, class T, class Backend>
    T* subtract_slope(Model& model, network_call<T, Backend> const& call, velocity_rows<T, mean_flow_row<T>, Backend> const& rows,
                      index_t apart, arena<Backend>& memory) const {
        index_t const n = call.x.rows(), d = call.x.cols();
        if constexpr (exact) {
            T* const output = memory.template take<T>(n * d);
            T* const slope = memory.template take<T>(apart * d);
            view<T, Backend> const standing(*rows.device, memory.template take<T>(apart), {apart});
            fill(standing, T(0));
            call_tangent<T, Backend> const along{rows.first(apart, rows.target), rows.time(2, apart), standing};
            forward_jvp<true>(model.network(), call, along, rows.first(n, output), rows.first(apart, slope));
            rows.device->for_each_pair(apart, d, functor::mean_flow_subtract<T>{rows.numbers, slope, rows.target, d});
            return output;
        } else {
            T* const point[2] = {memory.template take<T>(apart * d), memory.template take<T>(apart * d)};
            T* const answer[2] = {memory.template take<T>(apart * d), memory.template take<T>(apart * d)};
            rows.device->for_each_pair(apart, d, functor::mean_flow_points<T>{rows.numbers, rows.x, rows.target, point[0], point[1], d});
            network_call<T, Backend> at = call.first(apart);
            for (int k = 0; k < 2; ++k) {
                at.x = rows.first(apart, point[k]), at.t = rows.time(2 + k, apart);
                evaluate<true>(model.network(), at, rows.first(apart, answer[k]));
            }
            rows.device->for_each_pair(apart, d,
                                       functor::mean_flow_subtract_quotient<T>{rows.numbers, answer[0], answer[1], rows.target, d});
            return nullptr;
        }
    }

    Distance distance_;
    Pairs pairs_;
    Derivative derivative_;
    mean_flow_options options_;
};

/// The recipe for latents of ImageNet 256: batches of 256 with labels, Adam{.rate = 1e-4, .beta2 = 0.95}, an average of 0.9999. omega and
/// kappa as for the model of size B/4. Source: Geng et al. 2025 (arXiv:2505.13447), table 4, and its official code.
inline auto mean_flow_imagenet() { return mean_flow(mean_flow_options{.omega = 1, .kappa = 0.5}); }
/// The recipe for CIFAR-10 without labels: batches of 1024, Adam{.rate = 6e-4}, dropout 0.2 in the network.
/// Source: Geng et al. 2025 (arXiv:2505.13447), appendix A.
inline auto mean_flow_cifar10() {
    return mean_flow(adaptive_squared{.power = 0.75, .c = 1e-3}, sorted_pair{logit_normal{-2, 2}}, by_jvp{},
                     mean_flow_options{.flow_matching_fraction = 0.25});
}
/// The later recipe of its official code for CIFAR-10, which draws t and s from two densities.
inline auto mean_flow_cifar10_bounded() {
    return mean_flow(adaptive_squared{.power = 0.75, .c = 1e-3}, bounded_pair{logit_normal{-0.6, 1.6}, logit_normal{-4, 1.6}}, by_jvp{},
                     mean_flow_options{.flow_matching_fraction = 0.25});
}

}  // namespace onestep
