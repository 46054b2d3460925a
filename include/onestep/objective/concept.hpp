#pragma once
/// An objective builds a regression problem. Every training method is: choose the network's inputs, build a target
/// without gradient, choose a weight and a distance; then
///
///     loss = 1/n  sum over rows of   w distance(a x + b F(x, t) - target)
///
/// An objective is only that builder; `accumulate` (accumulate.hpp) does the rest for all of them.
#include "../backend/arena.hpp"
#include "../core/random.hpp"
#include "../core/view.hpp"
#include "../model/model.hpp"
#include "distance.hpp"

namespace onestep {

/// A batch of training data: clean samples, and where the coupling is not independent the noise that belongs to each.
/// Views; `noise` and `labels` may be empty.
template <class T, class Backend> struct batch {
    view<T const, Backend> x0;                      ///< [n, ...]
    view<T const, Backend> noise = {};              ///< [n, ...], unit noise paired with x0; empty: drawn anew
    view<std::int32_t const, Backend> labels = {};  ///< [n]; empty: no labels
};

/// Numbers of one row of a regression problem; lives in backend memory.
template <class T> struct regression_row {
    T alpha, sigma;               ///< x = alpha x0 + sigma epsilon, what the network reads: input_scale x_t
    T target_x0, target_epsilon;  ///< target = target_x0 x0 + target_epsilon epsilon
    T a, b;                       ///< prediction = a x + b F
    T weight;
};

/// What an objective hands to `accumulate`. All memory comes from the arena it was given.
template <class T, class Backend> struct regression {
    view<T const, Backend> x;       ///< [n, ...], where the network is evaluated
    view<T const, Backend> t;       ///< [n]
    T const* target;                ///< [n, ...]
    regression_row<T> const* rows;  ///< [n]
};

/// `build` makes the problem for one batch; `distance` is how residuals are measured.
template <class O, class Model, class T, class Backend>
concept objective = spec<O> && distance<std::remove_cvref_t<decltype(std::declval<O const&>().distance())>> &&
    requires(O const& o, Model const& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) {
    { o.build(model, data, key, memory) } -> std::same_as<regression<T, Backend>>;
};

}  // namespace onestep
