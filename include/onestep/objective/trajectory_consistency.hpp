#pragma once
#include "../model/local_target.hpp"
#include "../time/drawn_middle.hpp"
#include "../time/trajectory_levels.hpp"
#include "consistency_rows.hpp"
#include "path_step.hpp"
#include "target_average.hpp"
#include "velocity_rows.hpp"

namespace onestep {

/// Numbers of trajectory consistency.
struct trajectory_consistency_options {
    static constexpr char const* name = "trajectory_consistency_options";
    double denoising = 0.5;       ///< share of rows with s = t, which learn to denoise, in [0, 1]
    double denoising_weight = 1;  ///< of each of them, >= 0

    void fields(auto&& visit) const {
        visit("denoising", denoising);
        visit("denoising_weight", denoising_weight);
    }
    friend bool operator==(trajectory_consistency_options const&, trajectory_consistency_options const&) = default;
};

/// Trajectory consistency: a flow map must carry x_t to s as it carries a point of the same path that is nearer,
///
///     x_u = a step of the path from x_t, s <= u <= t          target = X_average(x_u, u, s), held constant; x_u itself at u = s
///     loss = w(t, s) distance(X_theta(x_t, t, s) - target)
///
/// and the last rows of a batch have s = t, where the network's answer is that of a denoiser, and learn that:
///
///     loss = denoising_weight distance(F_theta(x_t, t, t) - (p x0 + q epsilon))          p, q: the rule's local target
///
/// With ddim_rule{}, the map of consistency trajectory models, that is EDM's loss with EDM's weight; with average_velocity flow matching.
/// Sampled by `jump`, in any number of steps and with its `noise`.
///
///     onestep::flow_map_model fast{net, teacher.process(), onestep::ddim_rule{}};                      // net(x, t, s, y)
///     onestep::trainer t{fast, onestep::trajectory_consistency{onestep::teacher_path{teacher}}, onestep::adam{}};
///
/// What it is made of goes by position:
///
///     path         teacher_path{teacher, solver}, or conditional_path without a teacher (path_step.hpp)
///     distance     squared, pseudo_huber, ...; the same for both kinds of rows
///     triples      trajectory_levels (u is the level after t), drawn_middle, or any time_triple_density
///     weighting    unit_weight, inverse_gap, ... (pair_weighting.hpp), here of |X - target|^2 at s
///     average      no_average, constant_average, ... (target_average.hpp)
///
/// An average of 0.999 lets targets lag by a thousand steps a level: for short runs take no_average{}.
///
/// Three things are not as published. There both sides are compared at the data, after a further jump from s to 0 by a frozen map: the
/// gradient then runs through that map and asks for its network's derivative with respect to x in reverse, which networks here need not
/// have; so they are compared at s. The weight of denoising is a number, where the paper takes the ratio of both losses' gradients in the
/// last layer. And the adversarial loss that joins them later is left out. The teacher's way from t to u is one step.
///
/// Triples come from (key, time) and key.step, noise from (key, noise). Denoising rows take the t of their triple.
/// Throws shape_error for noise that is not shaped like x0, domain_error for numbers outside their range, for a student on another process
/// than the teacher's, and where model, teacher or solver has no answer at a drawn time.
/// Cost: one evaluation of the target model and the teacher's (two with heun), for the rows that do not denoise; three to six fused passes.
/// Source: Kim et al. 2023 (arXiv:2310.02279), sections 3 and 4, and the authors' code; averages of 0.999 there.
template <training_path Path = conditional_path, distance Distance = squared, spec Triples = trajectory_levels<>,
          pair_weighting Weighting = unit_weight, target_average<Triples> Average = constant_average>
class trajectory_consistency {
public:
    static constexpr char const* name = "trajectory_consistency";

    /// Throws domain_error for numbers outside their range.
    explicit trajectory_consistency(trajectory_consistency_options const& options = {})
        : trajectory_consistency(Path{}, Distance{}, Triples{}, Weighting{}, usual_average(), options) {}
    explicit trajectory_consistency(Path const& path, Distance const& distance = {}, Triples const& triples = {},
                                    Weighting const& weighting = {}, Average const& average = usual_average(),
                                    trajectory_consistency_options const& options = {})
        : path_(path), distance_(distance), triples_(triples), weighting_(weighting), average_(average), options_(checked(options)) {}

    Distance const& distance() const { return distance_; }
    double target_decay(index_t step) const requires(!std::same_as<Average, no_average>) { return average_.decay(triples_, step); }

    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model const& model, Target& older, batch<T, Backend> const& data, random_key key,
                                 arena<Backend>& memory) const {
        static_assert(two_time_map<Model>, "Trajectory consistency trains a flow map: flow_map_model{net, process, rule}.");
        static_assert(takes_two_times<std::remove_reference_t<decltype(older.network())>, T, Backend>,
                      "A flow map needs a network with two times: net(x, t, s, y), s [n] being the time to arrive at.");
        auto const& process = model.process();
        static_assert(time_triple_density<Triples, std::remove_cvref_t<decltype(process)>>,
                      "This density draws no triples of times for the model's process: see time/triple.hpp.");
        if (!data.noise.empty()) require_shape(name, "noise", data.noise, data.x0.shape());
        Backend& device = data.x0.backend();
        index_t const n = data.x0.rows(), d = data.x0.cols(), apart = n - denoising_rows(n);
        random_stream const times = key.at(draw::time);
        auto const triple = [&](index_t row) { return triples_.sample(process, times, row, static_cast<index_t>(key.step)); };

        rows_of_batch<T> const rows = upload<T>(model, older, triple, n, apart, memory, device);
        T* const x = memory.template take<T>(n * d);
        T* const target = memory.template take<T>(n * d);
        if (data.noise.empty())
            for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{rows.later, data.x0.data(), x, target});
        else device.for_each_pair(n, d, functor::mix_pair<T>{rows.later, data.x0.data(), data.noise.data(), x, target, d});

        auto const numbers = [&](T const* list, index_t count) { return view<T const, Backend>(device, list, {count}); };
        if (apart > 0) {
            view<T, Backend> const state(device, target, data.x0.shape().with_rows(apart));
            view<std::int32_t const, Backend> const labels = data.labels.data() ? data.labels.rows(0, apart) : data.labels;
            if constexpr (with_teacher) {
                path_.carry(
                    name, process, labels,
                    [&](index_t row) {
                        time_triple const at = triple(row);
                        return time_pair{at.t, at.u};
                    },
                    state, memory);
                if (rows.scales) device.for_each_pair(apart, d, functor::scale_for_map<T>{rows.older, target, d});
            }
            T* f = nullptr;
            if (rows.asks) {
                f = memory.template take<T>(apart * d);
                evaluate<true>(older.network(), network_call<T, Backend>{state, numbers(rows.u, apart), numbers(rows.s, apart), labels},
                               view<T, Backend>(device, f, state.shape()));
            }
            device.for_each_pair(apart, d, functor::map_value<T>{rows.older, target, f, d});
        }
        return {{{device, x, data.x0.shape()}, numbers(rows.t, n), numbers(rows.s, n), data.labels}, target, rows.later};
    }

    void fields(auto&& visit) const {
        visit("path", path_);
        visit("distance", distance_);
        visit("triples", triples_);
        visit("weighting", weighting_);
        visit("average", average_);
        options_.fields(visit);
    }

private:
    static constexpr bool with_teacher = !std::same_as<Path, conditional_path>;

    template <class T> struct rows_of_batch {
        T *t, *u, *s;               ///< [n], what networks are told
        regression_row<T>* later;   ///< [n], the student's
        consistency_row<T>* older;  ///< [n], the target model's; of rows that denoise not used
        bool asks = false, scales = false;
    };

    static Average usual_average() {
        if constexpr (std::same_as<Average, constant_average>) return {.mu = 0.999};
        else return {};
    }
    static trajectory_consistency_options const& checked(trajectory_consistency_options const& o) {
        if (!(o.denoising >= 0 && o.denoising <= 1))
            raise<domain_error>(name, "denoising is " + to_string(o.denoising), "it must lie in [0, 1]");
        if (!(o.denoising_weight >= 0))
            raise<domain_error>(name, "denoising_weight is " + to_string(o.denoising_weight), "it must not be negative");
        return o;
    }
    index_t denoising_rows(index_t n) const { return static_cast<index_t>(std::floor(options_.denoising * static_cast<double>(n) + 1e-9)); }

    /// x_t at the scale of the student's network, and what the target begins as: x_u at the scale of the target's network, or x_t where a
    /// teacher carries it there.
    template <class T, class Model, class Target, class Triple, class Backend>
    rows_of_batch<T> upload(Model const& model, Target const& older, Triple const& triple, index_t n, index_t apart, arena<Backend>& memory,
                            Backend& device) const {
        auto const& process = model.process();
        rows_of_batch<T> rows{memory.template take<T>(n), memory.template take<T>(n), memory.template take<T>(n),
                              memory.template take<regression_row<T>>(n), memory.template take<consistency_row<T>>(n)};
        constexpr index_t part = 64;
        T told[3][part];
        regression_row<T> later[part];
        consistency_row<T> then[part];
        for (index_t first = 0; first < n; first += part) {
            index_t const count = std::min(part, n - first);
            for (index_t i = 0; i < count; ++i) {
                bool const denoises = first + i >= apart;
                time_triple at = triple(first + i);
                if (denoises) at.u = at.s = at.t;
                marginal const t = marginal_at(process, at.t), u = marginal_at(process, at.u), s = marginal_at(process, at.s);
                network_input const ask = model.input_at(at.t), from = older.input_at(at.u);
                told[0][i] = static_cast<T>(ask.time);
                told[1][i] = static_cast<T>(from.time);
                told[2][i] = static_cast<T>(model.input_at(at.s).time);
                regression_row<double> row{ask.scale * t.alpha, ask.scale * t.sigma};
                if (denoises) {
                    target_weights const wanted = local_weights(model, t);
                    row.target_x0 = wanted.x0, row.target_epsilon = wanted.epsilon;
                    row.weight = options_.denoising_weight;
                    then[i] = {};
                } else {
                    marginal const& begin = with_teacher ? t : u;
                    double const scale = with_teacher ? 1 : from.scale;
                    row.target_x0 = scale * begin.alpha, row.target_epsilon = scale * begin.sigma;
                    conversion const map = model.map_at(at.t, at.s), rest = older.map_at(at.u, at.s);
                    row.a = map.x / ask.scale, row.b = map.output;
                    row.weight = map.output == 0 ? 0 : pair_weight(weighting_, t, s);
                    then[i] = {static_cast<T>(from.scale), static_cast<T>(rest.x / from.scale), static_cast<T>(rest.output)};
                    rows.asks = rows.asks || then[i].output != 0;
                    rows.scales = rows.scales || from.scale != 1;
                }
                later[i] = {static_cast<T>(row.alpha),          static_cast<T>(row.sigma), static_cast<T>(row.target_x0),
                            static_cast<T>(row.target_epsilon), static_cast<T>(row.a),     static_cast<T>(row.b),
                            static_cast<T>(row.weight)};
            }
            device.upload(told[0], count, rows.t + first);
            device.upload(told[1], count, rows.u + first);
            device.upload(told[2], count, rows.s + first);
            device.upload(later, count, rows.later + first);
            device.upload(then, count, rows.older + first);
        }
        return rows;
    }
    template <class Model> static target_weights local_weights(Model const& model, marginal const& m) {
        using rule = typename Model::target_type;
        if constexpr (has_local_target<rule>) return local_target_of(model.target()).weights(m);
        else
            raise<domain_error>(name, "rows that denoise are asked for",
                                std::string("the rule ") + rule::name + " does not say what F(x, t, t) is: it has no local_target()");
    }

    Path path_;
    Distance distance_;
    Triples triples_;
    Weighting weighting_;
    Average average_;
    trajectory_consistency_options options_;
};

}  // namespace onestep
