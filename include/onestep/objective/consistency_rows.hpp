#pragma once
/// What the discrete consistency objectives share: rows of a student at t and of a target model at s.
#include <array>
#include <cmath>

#include "../time/pair.hpp"
#include "pair_weighting.hpp"
#include "regression_rows.hpp"

namespace onestep {

/// How a consistency model is asked at t, and what f is made of: f = map.x x + map.output F(ask.scale x, ask.time).
struct consistency_ask {
    network_input ask;
    conversion map;
};

/// Up to the boundary the network's answer does not matter (map.output = 0) and its clock may be infinite there: it is asked at
/// `elsewhere` then, with x as it is.
template <consistency_map Model> consistency_ask consistency_ask_of(Model const& model, double t, double elsewhere) {
    conversion const map = model.map_at(t);
    if (map.output != 0) return {model.input_at(t), map};
    return {{1, model.input_at(elsewhere).time}, map};
}

/// The target model's part of a row: f = x read + output F(read), with read = scale x_s; lives in backend memory.
template <class T> struct consistency_row { T scale, x, output; };

/// The rows of a batch in backend memory.
template <class T> struct consistency_rows {
    T *t, *s;                   ///< [n], what student and target model are told
    regression_row<T>* later;   ///< [n]
    consistency_row<T>* older;  ///< [n]
    bool asks = false;          ///< whether any row wants the target model's answer
    bool scales = false;        ///< whether it reads any row scaled
};

namespace functor {
template <class T> struct scale_for_map {
    consistency_row<T> const* rows;
    T* x;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { x[r * cols + c] = rows[r].scale * x[r * cols + c]; }
};
/// f in place of what the network read. An answer that does not count is not looked at: it may be anything.
template <class T> struct map_value {
    consistency_row<T> const* rows;
    T* x;
    T const* f;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        consistency_row<T> const row = rows[r];
        T const known = row.x * x[i];
        x[i] = row.output == 0 ? known : math::fma(row.output, f[i], known);
    }
};
}  // namespace functor

/// Works out the rows of a step in double and sends them to `memory`. Pairs come from (key, time); a row's second blend of sample and
/// noise, target_x0 x0 + target_epsilon epsilon, is what blend(m_t, m_s, scale of the target model's input) says, an array of two.
/// Rows that lie up to the student's boundary with t weigh nothing: there is nothing to learn.
template <class Model, class Target, class Pairs, class Weighting, class T, class Backend, class Blend>
consistency_rows<T> upload_consistency_rows(Model const& model, Target const& target, Pairs const& pairs, Weighting const& weighting,
                                            batch<T, Backend> const& data, random_key key, arena<Backend>& memory, Blend const& blend) {
    auto const& process = model.process();
    static_assert(time_pair_density<Pairs, std::remove_cvref_t<decltype(process)>>,
                  "This density draws no pairs of times for the model's process: see time/pair.hpp.");
    Backend& device = data.x0.backend();
    index_t const n = data.x0.rows();
    consistency_rows<T> rows{memory.template take<T>(n), memory.template take<T>(n), memory.template take<regression_row<T>>(n),
                             memory.template take<consistency_row<T>>(n)};
    double const middle = std::fmin(std::fmax(time_of_noise_to_signal(process, 1), process.t_min()), process.t_max());
    random_stream const times = key.at(draw::time);

    constexpr index_t part = 64;
    T told_t[part], told_s[part];
    regression_row<T> later[part];
    consistency_row<T> older[part];
    for (index_t first = 0; first < n; first += part) {
        index_t const count = std::min(part, n - first);
        for (index_t i = 0; i < count; ++i) {
            time_pair const at = pairs.sample(process, times, first + i, static_cast<index_t>(key.step));
            marginal const t = marginal_at(process, at.t), s = marginal_at(process, at.s);
            consistency_ask const now = consistency_ask_of(model, at.t, middle),
                                  then = consistency_ask_of(target, at.s, now.map.output != 0 ? at.t : middle);
            auto const [of_x0, of_noise] = blend(t, s, then.ask.scale);
            double const weight = now.map.output == 0 ? 0 : pair_weight(weighting, t, s);
            told_t[i] = static_cast<T>(now.ask.time);
            told_s[i] = static_cast<T>(then.ask.time);
            later[i] = {static_cast<T>(now.ask.scale * t.alpha),
                        static_cast<T>(now.ask.scale * t.sigma),
                        static_cast<T>(of_x0),
                        static_cast<T>(of_noise),
                        static_cast<T>(now.map.x / now.ask.scale),
                        static_cast<T>(now.map.output),
                        static_cast<T>(weight)};
            older[i] = {static_cast<T>(then.ask.scale), static_cast<T>(then.map.x / then.ask.scale), static_cast<T>(then.map.output)};
            rows.asks = rows.asks || older[i].output != 0;
            rows.scales = rows.scales || then.ask.scale != 1;
        }
        device.upload(told_t, count, rows.t + first);
        device.upload(told_s, count, rows.s + first);
        device.upload(later, count, rows.later + first);
        device.upload(older, count, rows.older + first);
    }
    return rows;
}

/// x becomes f of the target model, without gradient; x is what its network reads. The network is left alone where no row asks it.
template <class Target, class T, class Backend>
void evaluate_map(Target& target, consistency_rows<T> const& rows, view<T, Backend> x, view<std::int32_t const, Backend> labels,
                  arena<Backend>& memory) {
    Backend& device = x.backend();
    index_t const n = x.rows(), d = x.cols();
    T* f = nullptr;
    if (rows.asks) {
        f = memory.template take<T>(n * d);
        evaluate<false>(target.network(), network_call<T, Backend>{x, view<T const, Backend>(device, rows.s, {n}), {}, labels},
                        view<T, Backend>(device, f, x.shape()));
    }
    device.for_each_pair(n, d, functor::map_value<T>{rows.older, x.data(), f, d});
}

}  // namespace onestep
