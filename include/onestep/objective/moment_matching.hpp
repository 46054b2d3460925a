#pragma once
#include "../time/noise_decrement.hpp"
#include "accumulate.hpp"
#include "consistency_rows.hpp"
#include "matching_weight.hpp"
#include "velocity_rows.hpp"

namespace onestep {

/// Numbers of moment matching.
struct moment_matching_options {
    static constexpr char const* name = "moment_matching_options";
    /// Which pairs of a group's samples the squared discrepancy averages over.
    enum class pairing {
        all_pairs,      ///< a sample with itself too, over M^2: the paper's equation 67, and what is trained there
        distinct_pairs  ///< two different samples, over M (M - 1): the expectation of its equation 12, without bias
    };

    index_t group = 4;      ///< M >= 1 samples share times and are compared with each other
    double nearest = 1e-8;  ///< > 0, distance from which on samples count as apart
    pairing pairs = pairing::all_pairs;

    void fields(auto&& visit) const {
        visit("group", group);
        visit("nearest", nearest);
        visit("pairs", pairs == pairing::all_pairs ? "all_pairs" : "distinct_pairs");
    }
    friend bool operator==(moment_matching_options const&, moment_matching_options const&) = default;
};

namespace functor {
/// X = a x + b F of the student.
template <class T> struct matching_prediction {
    regression_row<T> const* rows;
    T const *x, *f;
    T* out;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        regression_row<T> const row = rows[r];
        out[i] = math::fma(row.a, x[i], row.b * f[i]);
    }
};

/// Pairs of a batch in groups of M: number (r kinds + kind) M + k is row r with mate k of its group, of the student's samples (kind 0), of
/// the target's (1), or both of the target's (2).
struct matching_pairs {
    index_t group, kinds;
    ONESTEP_HD index_t row(index_t pair) const { return pair / (kinds * group); }
    ONESTEP_HD index_t kind(index_t pair) const { return pair / group % kinds; }
    ONESTEP_HD index_t mate(index_t pair) const { return row(pair) / group * group + pair % group; }
};
template <class T> struct matching_square {
    matching_pairs pairs;
    T const *predicted, *aimed;
    index_t cols;
    ONESTEP_HD double operator()(index_t pair, index_t c) const {
        index_t const kind = pairs.kind(pair);
        double const difference = static_cast<double>((kind == 2 ? aimed : predicted)[pairs.row(pair) * cols + c]) -
                                  static_cast<double>((kind == 0 ? predicted : aimed)[pairs.mate(pair) * cols + c]);
        return difference * difference;
    }
};
/// k = exp(-sharpness max(distance, nearest) / d) of a pair, and its share of an average.
template <class T> struct matching_kernel {
    matching_pairs pairs;
    T const* sharp;  // [n]
    double nearest, share;
    bool with_itself;
    index_t cols;
    ONESTEP_HD double weight(index_t pair) const { return with_itself || pairs.row(pair) != pairs.mate(pair) ? share : 0; }
    ONESTEP_HD double distance(double square) const {
        double const root = math::sqrt(square);
        return root > nearest ? root : nearest;
    }
    ONESTEP_HD double sharpness(index_t pair) const { return static_cast<double>(sharp[pairs.row(pair)]); }
    ONESTEP_HD double value(index_t pair, double square) const {
        return math::exp(-sharpness(pair) * distance(square) / static_cast<double>(cols));
    }
};
/// How strongly row r is drawn to its mate: kind 0 pushes it away.
template <class T> struct matching_pull {
    matching_kernel<T> kernel;
    T* pull;
    ONESTEP_HD void operator()(index_t pair, double square) const {
        double const distance = kernel.distance(square), force = kernel.weight(pair) * kernel.sharpness(pair) * kernel.value(pair, square);
        bool const apart = distance > kernel.nearest;
        pull[pair] = static_cast<T>(!apart ? 0 : kernel.pairs.kind(pair) == 0 ? -force / distance : force / distance);
    }
};
/// target = X - sum over mates of pull (X - mate).
template <class T> struct matching_target {
    matching_pairs pairs;
    T const *predicted, *aimed, *pull;
    T* target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        T const at = predicted[r * cols + c];
        T way = 0;
        for (index_t k = 0; k < 2 * pairs.group; ++k) {
            index_t const pair = 2 * pairs.group * r + k;
            T const mate = (k < pairs.group ? predicted : aimed)[pairs.mate(pair) * cols + c];
            way = math::fma(pull[pair], at - mate, way);
        }
        target[r * cols + c] = at - way;
    }
};
/// A pair's part of its row's squared discrepancy.
template <class T> struct matching_part {
    matching_kernel<T> kernel;
    double* parts;
    ONESTEP_HD void operator()(index_t pair, double square) const {
        parts[pair] = (kernel.pairs.kind(pair) == 1 ? -2 : 1) * kernel.weight(pair) * kernel.value(pair, square);
    }
};
struct matching_part_term {
    double const* parts;
    index_t count;
    ONESTEP_HD double operator()(index_t r, index_t k) const { return parts[r * count + k]; }
};
template <class T> struct matching_loss {
    regression_row<T> const* rows;
    loss_value* losses;
    ONESTEP_HD void operator()(index_t r, double square) const { losses[r] = {static_cast<double>(rows[r].weight) * square, square}; }
};
}  // namespace functor

/// Inductive moment matching: what the map makes of x_t must be distributed at s as what it makes of points x_u that are less noisy. With
/// samples i, k of a group of M that shares its times,
///
///     X_i = X_theta(x_t, t, s)        Y_i = X_theta(x_u, u, s), held constant        x_u = alpha_u x0 + sigma_u epsilon, both those of x_t
///     loss = mean over groups of  w(t) / M^2  sum over i, k of  k(X_i, X_k) + k(Y_i, Y_k) - 2 k(X_i, Y_k)
///     k(x, y) = exp(-max(|x - y|, nearest) / (|b| d))        b the coefficient of F from t to s, d the number of elements
///
/// Samples of a group are drawn to the targets and pushed apart from each other. No teacher and no average. With few elements a sample
/// kernels are narrow, and larger groups (64, say) make the gradient less noisy.
///
///     onestep::flow_map_model fast{net, onestep::rectified_flow{}, onestep::ddim_rule{onestep::scaled_velocity{}}};
///     onestep::trainer t{fast, onestep::moment_matching{}, onestep::adam{}};
///     auto x = onestep::sample(fast, onestep::jump{.steps = 2}, z, onestep::explicit_grid{{0.994, 0.583, 0}});
///
/// Groups are rows that lie beside each other; a batch must hold whole ones. For data of unit deviation on a process whose noise has unit
/// deviation all of this is the paper's; scale other data first.
///
/// The loss is no sum over rows, but its gradient is that of one: `build` runs the network and aims each row so far from X that half the
/// weighted squared residual's slope is dloss/dX, which `accumulate` then adds exactly. What accumulate reports is therefore the square of
/// that gradient, which need not fall in training; the loss is what `measure` returns.
///
/// By equation 67 a sample is also compared with its own target, which shares its x0 and noise. That part of the gradient is not zero in
/// the mean even for the exact map; it vanishes as u comes near t. `distinct_pairs` leaves it out, as equation 12 does. Reimplementations
/// in public differ from the paper: one squares the distance in the kernel, takes b from t to 0, has alpha^2 sigma^2 in the weight's
/// denominator, and pairs of two samples. None of that is here.
///
/// Triples come from (key, time) at the group's first row, and key.step; noise from (key, noise). Labels are withheld by `label_dropout`.
/// Throws shape_error for a batch that does not divide into groups and for noise that is not shaped like x0, domain_error for numbers
/// outside their range.
/// Cost: one evaluation without gradient besides the network's forward pass, four passes and one over 2 M pairs a row.
/// Source: Zhou, Ermon, Song 2025 (arXiv:2503.07565), equations 12, 13 and 67 and algorithm 3. The authors' public code has inference
/// only; formulas and numbers are those of the paper's text.
template <spec Triples = noise_decrement<>, weighting Weighting = matching_weight> class moment_matching {
public:
    static constexpr char const* name = "moment_matching";
    using pairing = moment_matching_options::pairing;

    /// Throws domain_error for numbers outside their range.
    explicit moment_matching(moment_matching_options const& options = {}) : moment_matching(Triples{}, Weighting{}, options) {}
    explicit moment_matching(Triples const& triples, Weighting const& weighting = {}, moment_matching_options const& options = {})
        : triples_(triples), weighting_(weighting), options_(options) {
        if (options.group < (options.pairs == pairing::all_pairs ? 1 : 2))
            raise<domain_error>(name, "group is " + std::to_string(options.group),
                                options.pairs == pairing::all_pairs ? "it must be at least 1" : "distinct pairs need at least 2");
        if (!(options.nearest > 0)) raise<domain_error>(name, "nearest is " + to_string(options.nearest), "it must be > 0");
    }

    squared distance() const { return {}; }

    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model& model, Target& older, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) const {
        problem<T, Backend> const p = set_up(model, older, data, key, memory);
        index_t const n = data.x0.rows(), d = data.x0.cols(), pairs = 2 * options_.group * n;
        T* const f = memory.template take<T>(n * d);
        forward<true>(model.network(), p.call, view<T, Backend>(*p.device, f, data.x0.shape()));
        T* const predicted = memory.template take<T>(n * d);
        p.device->for_each_pair(n, d, functor::matching_prediction<T>{p.rows, p.call.x.data(), f, predicted, d});

        T* const pull = memory.template take<T>(pairs);
        functor::matching_pairs const numbering{options_.group, 2};
        p.device->template reduce_rows<double>(pairs, d, functor::matching_square<T>{numbering, predicted, p.aimed, d},
                                               functor::matching_pull<T>{kernel(p, numbering, d), pull});
        T* const target = memory.template take<T>(n * d);
        p.device->for_each_pair(n, d, functor::matching_target<T>{numbering, predicted, p.aimed, pull, target, d});
        return {p.call, target, p.rows, f};
    }

    /// The loss itself, with the weight and without, at the step and on the rows that the key says. Gradients are left alone. Throws what
    /// `build` throws. Cost: two evaluations.
    template <class Model, class Target, class T, class Backend>
    loss_value measure(Model& model, Target& older, batch<T, Backend> const& data, random_key key) const {
        auto const memory = data.x0.backend().scratch();
        problem<T, Backend> const p = set_up(model, older, data, key, *memory);
        index_t const n = data.x0.rows(), d = data.x0.cols(), mates = 3 * options_.group;
        T* const predicted = memory->template take<T>(n * d);
        evaluate<true>(model.network(), p.call, view<T, Backend>(*p.device, predicted, data.x0.shape()));
        p.device->for_each_pair(n, d, functor::matching_prediction<T>{p.rows, p.call.x.data(), predicted, predicted, d});

        auto* const parts = memory->template take<double>(mates * n);
        auto* const losses = memory->template take<loss_value>(n + 1);
        functor::matching_pairs const numbering{options_.group, 3};
        p.device->template reduce_rows<double>(mates * n, d, functor::matching_square<T>{numbering, predicted, p.aimed, d},
                                               functor::matching_part<T>{kernel(p, numbering, d), parts});
        p.device->template reduce_rows<double>(n, mates, functor::matching_part_term{parts, mates},
                                               functor::matching_loss<T>{p.rows, losses});
        p.device->template reduce_rows<functor::loss_sum>(1, n, functor::loss_term{losses},
                                                          functor::loss_mean{losses + n, static_cast<double>(n)});
        loss_value loss;
        p.device->download(losses + n, 1, &loss);
        return loss;
    }
    template <class Model, class T, class Backend> loss_value measure(Model& model, batch<T, Backend> const& data, random_key key) const {
        return measure(model, model, data, key);
    }

    void fields(auto&& visit) const {
        visit("triples", triples_);
        visit("weighting", weighting_);
        options_.fields(visit);
    }

private:
    template <class T, class Backend> struct problem {
        Backend* device;
        network_call<T, Backend> call;
        regression_row<T>* rows;
        T* sharp;  ///< [n], 1 / |coefficient of F| from t to s
        T* aimed;  ///< [n, ...], Y
    };

    template <class T, class Backend>
    functor::matching_kernel<T> kernel(problem<T, Backend> const& p, functor::matching_pairs const& numbering, index_t cols) const {
        bool const all = options_.pairs == pairing::all_pairs;
        return {numbering, p.sharp, options_.nearest, 1 / static_cast<double>(options_.group - (all ? 0 : 1)), all, cols};
    }
    template <class Model, class Target, class T, class Backend>
    problem<T, Backend> set_up(Model const& model, Target& older, batch<T, Backend> const& data, random_key key,
                               arena<Backend>& memory) const {
        static_assert(two_time_map<Model>, "Moment matching trains a flow map: flow_map_model{net, process, rule}.");
        static_assert(takes_two_times<std::remove_reference_t<decltype(older.network())>, T, Backend>,
                      "A flow map needs a network with two times: net(x, t, s, y), s [n] being the time to arrive at.");
        auto const& process = model.process();
        static_assert(time_triple_density<Triples, std::remove_cvref_t<decltype(process)>>,
                      "This density draws no triples of times for the model's process: see time/triple.hpp.");
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols();
        if (n % options_.group != 0)
            raise<shape_error>(name, "the batch has " + std::to_string(n) + " rows",
                               "groups of " + std::to_string(options_.group) + " must divide it");
        T* const t = memory.template take<T>(n);
        T* const u = memory.template take<T>(n);
        T* const s = memory.template take<T>(n);
        auto* const rows = memory.template take<regression_row<T>>(n);
        auto* const then = memory.template take<consistency_row<T>>(n);
        T* const sharp = memory.template take<T>(n);

        random_stream const times = key.at(draw::time);
        constexpr index_t part = 64;
        T told[3][part];
        regression_row<T> row[part];
        consistency_row<T> map_then[part];
        T sharpness[part];
        time_triple at;
        for (index_t first = 0; first < n; first += part) {
            index_t const count = std::min(part, n - first);
            for (index_t i = 0; i < count; ++i) {
                if ((first + i) % options_.group == 0) at = triples_.sample(process, times, first + i, static_cast<index_t>(key.step));
                marginal const m = marginal_at(process, at.t), nearer = marginal_at(process, at.u);
                network_input const ask = model.input_at(at.t), from = older.input_at(at.u);
                conversion const map = model.map_at(at.t, at.s), rest = older.map_at(at.u, at.s);
                told[0][i] = static_cast<T>(ask.time);
                told[1][i] = static_cast<T>(from.time);
                told[2][i] = static_cast<T>(model.input_at(at.s).time);
                row[i] = {static_cast<T>(ask.scale * m.alpha),
                          static_cast<T>(ask.scale * m.sigma),
                          static_cast<T>(from.scale * nearer.alpha),
                          static_cast<T>(from.scale * nearer.sigma),
                          static_cast<T>(map.x / ask.scale),
                          static_cast<T>(map.output),
                          static_cast<T>(map.output == 0 ? 0 : weight_in(weighting_, x0{}, m))};
                map_then[i] = {static_cast<T>(from.scale), static_cast<T>(rest.x / from.scale), static_cast<T>(rest.output)};
                sharpness[i] = static_cast<T>(map.output == 0 ? 0 : 1 / std::fabs(map.output));
            }
            device.upload(told[0], count, t + first);
            device.upload(told[1], count, u + first);
            device.upload(told[2], count, s + first);
            device.upload(row, count, rows + first);
            device.upload(map_then, count, then + first);
            device.upload(sharpness, count, sharp + first);
        }

        T* const x = memory.template take<T>(n * d);
        T* const aimed = memory.template take<T>(n * d);
        if (data.noise.empty()) for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows, data.x0.data(), x, aimed});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows, data.x0.data(), data.noise.data(), x, aimed, d});
        auto const list = [&](T const* numbers_of) { return view<T const, Backend>(device, numbers_of, {n}); };
        view<T const, Backend> const nearer(device, aimed, data.x0.shape());
        T* const f = memory.template take<T>(n * d);
        evaluate<true>(older.network(), network_call<T, Backend>{nearer, list(u), list(s), data.labels},
                       view<T, Backend>(device, f, data.x0.shape()));
        device.for_each_pair(n, d, functor::map_value<T>{then, aimed, f, d});
        return {&device, {{device, x, data.x0.shape()}, list(t), list(s), data.labels}, rows, sharp, aimed};
    }

    Triples triples_;
    Weighting weighting_;
    moment_matching_options options_;
};

}  // namespace onestep
