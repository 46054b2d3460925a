#pragma once
#include "../backend/fill.hpp"
#include "label_dropout.hpp"
#include "velocity_rows.hpp"

namespace onestep {

/// Numbers of a row that learns from two half steps.
template <class T> struct half_step {
    T length;    ///< of half the step
    T guidance;  ///< 1: none
};

namespace functor {
/// The first half's average velocity, kept in `target`, and the state to which it leads.
template <class T> struct shortcut_first_half {
    half_step<T> const* steps;
    T const *x, *given, *none;  // none: of the first `guided` rows
    T *target, *ahead;
    T clip;
    index_t cols, guided;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        half_step<T> const step = steps[r];
        T const u = r < guided && step.guidance != 1 ? math::fma(step.guidance, given[i] - none[i], none[i]) : given[i];
        T const end = math::fma(-step.length, u, x[i]);
        target[i] = u;
        ahead[i] = clip > T(0) ? (end < -clip ? -clip : end > clip ? clip : end) : end;
    }
};
/// The mean of both halves' velocities.
template <class T> struct shortcut_second_half {
    half_step<T> const* steps;
    T const *given, *none;
    T* target;
    T clip;
    index_t cols, guided;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        T const guidance = steps[r].guidance;
        T const u = r < guided && guidance != 1 ? math::fma(guidance, given[i] - none[i], none[i]) : given[i];
        T const mean = (target[i] + u) / 2;
        target[i] = clip > T(0) ? (mean < -clip ? -clip : mean > clip ? clip : mean) : mean;
    }
};
}  // namespace functor

/// Trains a shortcut model: a flow map whose steps of length 2 h agree with two steps of length h, and whose smallest steps follow the
/// velocity. With u(x; t, s) the average velocity from t to s, u^- the same of an older self, and M = 2^levels:
///
///     bootstrap rows   u(x_t; t, t - 2 h)  ->  (u1 + u2) / 2     u1 = u^-(x_t; t, t - h)     u2 = u^-(x_t - h u1; t - h, t - 2 h)
///     flow rows        u(x_t; t, t - 1/M)  ->  alpha' x0 + sigma' epsilon
///
/// Steps are shares of the process's time range: 2 h = 2^-b at level b = 0 .. levels - 1, and t lies on the grid of 2 h, or of 1/M for flow
/// rows. That the smallest step stands for one of length zero is the method's approximation: steps of 1/M follow the flow as Euler's do.
/// Sample it with jump{.steps = S}, S = 1, 2, 4, ..., M.
///
///     onestep::flow_map_model fast{net};                                       // net(x, t, s, y), rectified flow
///     onestep::trainer t{fast, onestep::shortcut_training{.levels = 5}, onestep::adam{}};
///
/// The first rows of a batch are the bootstrap rows. Guidance, where it is asked for, goes into the targets of the finest bootstrap level
/// alone, u_none + guidance (u_label - u_none) in both halves, and spreads from there to the coarser ones: sample without more.
///
/// A coarse level learns only after the average has followed the finer ones: a decay of 0.999 is for long runs, of some tens of thousands
/// of steps; one of a few thousand wants 0.95 or so.
///
/// Times come from (key, time), noise from (key, noise), withheld labels from (key, label). Where it was published the weight decay was
/// 0.1 on every parameter, and samples were made with the trained weights, not with the average.
/// Throws domain_error for numbers outside their range and for fewer bootstrap rows than the dealing of levels needs, shape_error for noise
/// that is not shaped like x0 and for guidance without labels.
/// Cost: 2 evaluations of the bootstrap rows, as many again of the guided ones, 2 passes over them, and one pass over all rows.
/// Source: Frans, Hafner, Levine, Abbeel 2024 (arXiv:2410.12557), algorithm 1.
struct shortcut_training {
    static constexpr char const* name = "shortcut_training";

    /// How bootstrap rows are dealt to the levels, finest first.
    enum class deal {
        equal,     ///< equal shares; what is left over goes to level 0. As published
        coarse,    ///< a quarter to level 0, a quarter to level 1, equal shares of the rest to the finer ones. The official code's dt_bias
        at_random  ///< each row draws its level: for batches of any size
    };
    /// Where flow rows stand.
    enum class place {
        on_grid,  ///< t in {1, ..., M} / M. As published
        anywhere  ///< t uniform in [1/M, 1]
    };

    double self_consistency = 0.25;  ///< share of bootstrap rows, in [0, 1]. The official code takes 1/8
    int levels = 7;                  ///< the smallest step is 2^-levels; 1 to 30
    deal dealing = deal::equal;
    place flow_times = place::on_grid;
    double clip = 0;      ///< bound on the elements of half-way states and bootstrap targets; 0: none. 4 where latents have unit scale
    double guidance = 1;  ///< 1: none. 1.5 on ImageNet
    double label_dropout = 0.1;  ///< share of flow rows that see no label; bootstrap rows always see theirs
    double decay = 0.999;        ///< of the average that targets come from, in [0, 1); 0: targets of the present weights

    squared distance() const { return {}; }
    double target_decay(index_t) const { return decay; }

    template <class Model, class Target, class T, class Backend>
    regression<T, Backend> build(Model const& model, Target& older, batch<T, Backend> const& data, random_key key,
                                 arena<Backend>& memory) const {
        require_average_velocity<Model, T, Backend>();
        index_t const n = data.x0.rows(), bootstrap = bootstrap_rows(n);
        check(bootstrap, data.labels.data() != nullptr);
        random_stream const times = key.at(draw::time);
        index_t guided = 0;
        if (guidance != 1)
            for (index_t r = 0; r < bootstrap; ++r)
                if (level_of(r, bootstrap, times) == levels - 1) guided = r + 1;

        auto const labels = drop_labels_for(name, model.network(), data.labels, label_dropout, key.at(draw::label), memory, bootstrap);
        auto const describe = [&](index_t row, double(&told)[3], half_step<T>& step) {
            interval const at =
                row < bootstrap ? bootstrap_interval(level_of(row, bootstrap, times), times, row) : flow_interval(times, row);
            auto const& process = model.process();
            double const low = process.t_min(), high = process.t_max(), range = high - low, length = range * (at.from - at.to) / 2;
            double const t = at.from == 1 ? high : low + range * at.from, s = low + range * at.to;
            told[0] = model.input_at(t).time, told[1] = model.input_at(s).time, told[2] = model.input_at(s + length).time;
            bool const finest = at.from - at.to == 2 * smallest();
            step = {static_cast<T>(length), static_cast<T>(finest ? guidance : 1)};
            return marginal_at(process, t);
        };
        auto const rows = make_velocity_rows<3, half_step<T>>(name, data, key, memory, describe);
        network_call<T, Backend> const call{rows.first(n, rows.x), rows.time(0, n), rows.time(1, n), labels};
        if (bootstrap > 0) aim_by_halves(older, call.first(bootstrap), rows, guided, memory);
        return {call, rows.target, rows.rows};
    }

    void fields(auto&& visit) const {
        visit("self_consistency", self_consistency);
        visit("levels", levels);
        visit("dealing", dealing == deal::equal ? "equal" : dealing == deal::coarse ? "coarse" : "at_random");
        visit("flow_times", flow_times == place::on_grid ? "on_grid" : "anywhere");
        visit("clip", clip);
        visit("guidance", guidance);
        visit("label_dropout", label_dropout);
        visit("decay", decay);
    }
    friend bool operator==(shortcut_training const&, shortcut_training const&) = default;

private:
    /// target = the mean of the older self's two half steps, for the rows of `part`; `guided` of them may be guided.
    template <class Target, class T, class Backend>
    void aim_by_halves(Target& older, network_call<T, Backend> part, velocity_rows<T, half_step<T>, Backend> const& rows, index_t guided,
                       arena<Backend>& memory) const {
        index_t const n = part.x.rows(), d = part.x.cols();
        T* const given = memory.template take<T>(n * d);
        T* const ahead = memory.template take<T>(n * d);
        T* const none = memory.template take<T>(guided * d);
        view<std::int32_t, Backend> const no_label(*rows.device, memory.template take<std::int32_t>(guided), {guided});
        if constexpr (has_classes<std::remove_cvref_t<decltype(older.network())>>) {
            if (guided > 0) fill(no_label, static_cast<std::int32_t>(older.network().classes()));
        } else if (guided > 0) {
            raise<domain_error>(name, "guidance is " + to_string(guidance),
                                "this network does not say which label means none: it has no classes()");
        }
        auto const ask = [&] {
            evaluate<true>(older.network(), part, rows.first(n, given));
            if (guided == 0) return;
            network_call<T, Backend> without = part.first(guided);
            without.labels = no_label;
            evaluate<true>(older.network(), without, rows.first(guided, none));
        };
        T const limit = static_cast<T>(clip);
        view<T const, Backend> const middle = rows.time(2, n), end = part.s;
        part.s = middle;
        ask();
        rows.device->for_each_pair(
            n, d, functor::shortcut_first_half<T>{rows.numbers, rows.x, given, none, rows.target, ahead, limit, d, guided});
        part.x = rows.first(n, ahead), part.t = middle, part.s = end;
        ask();
        rows.device->for_each_pair(n, d, functor::shortcut_second_half<T>{rows.numbers, given, none, rows.target, limit, d, guided});
    }

    /// From where to where a step leads, in shares of the time range.
    struct interval {
        double from, to;
    };

    double smallest() const { return std::ldexp(1.0, -levels); }
    index_t bootstrap_rows(index_t n) const {
        if (!(self_consistency >= 0 && self_consistency <= 1))
            raise<domain_error>(name, "self_consistency is " + to_string(self_consistency), "it must lie in [0, 1]");
        return static_cast<index_t>(std::floor(self_consistency * static_cast<double>(n) + 1e-9));
    }
    void check(index_t bootstrap, bool labelled) const {
        if (levels < 1 || levels > 30) raise<domain_error>(name, "levels is " + std::to_string(levels), "it must be 1 to 30");
        if (!(clip >= 0)) raise<domain_error>(name, "clip is " + to_string(clip), "it must not be negative");
        if (!(decay >= 0 && decay < 1)) raise<domain_error>(name, "decay is " + to_string(decay), "it must be in [0, 1)");
        if (guidance != 1 && !labelled)
            raise<shape_error>(name, "guidance is " + to_string(guidance) + " and the batch has no labels",
                               "guidance sets labels against none; 1 asks for none");
        index_t const needed = dealing == deal::at_random              ? 0
                               : dealing == deal::coarse && levels > 2 ? std::max(4, 2 * (levels - 2))
                                                                       : levels;
        if (self_consistency > 0 && bootstrap < needed)
            raise<domain_error>(name, std::to_string(bootstrap) + " rows of the batch bootstrap",
                                std::to_string(levels) + " levels need " + std::to_string(needed) +
                                    ": take a larger batch, fewer levels or deal::at_random");
    }
    int level_of(index_t row, index_t bootstrap, random_stream stream) const {
        if (dealing == deal::at_random) return static_cast<int>(below(stream, static_cast<std::uint64_t>(levels), row, 1));
        if (dealing == deal::coarse && levels > 2) {
            index_t const share = bootstrap / 2 / (levels - 2), fine = share * (levels - 2);
            if (row < fine) return levels - 1 - static_cast<int>(row / share);
            return row < fine + bootstrap / 4 ? 1 : 0;
        }
        index_t const share = bootstrap / levels;
        return row < share * levels ? levels - 1 - static_cast<int>(row / share) : 0;
    }
    interval bootstrap_interval(int level, random_stream stream, index_t row) const {
        double const step = std::ldexp(1.0, -level), cell = static_cast<double>(below(stream, std::uint64_t{1} << level, row));
        return {(cell + 1) * step, cell * step};
    }
    interval flow_interval(random_stream stream, index_t row) const {
        double const step = smallest();
        if (flow_times == place::on_grid) {
            double const cell = static_cast<double>(below(stream, std::uint64_t{1} << levels, row));
            return {(cell + 1) * step, cell * step};
        }
        double const to = (1 - step) * uniform(stream, row);
        return {to + step, to};
    }
};

}  // namespace onestep
