#pragma once
/// An objective builds a regression problem. Every training method is: choose the network's inputs, build a target
/// without gradient, choose a weight and a distance; then
///
///     loss = 1/n  sum over rows of   w distance(a x + b F(x, t) - target)
///
/// An objective is only that builder; `accumulate` (accumulate.hpp) does the rest for all of them.
///
/// What an objective may also have:
///
///     build(model, target, data, key, memory)   it asks an older self for its target: the model with averaged weights, or the
///                                               model itself where nobody keeps an average
///     double target_decay(index_t step)         how that average moves at training step `step`; 0: it is the model itself
///     static constexpr bool learns_weight       its losses are balanced over time by a learned weight (learned_weight.hpp)
///
/// Curricula are functions of the training step, which is key.step: nothing is kept from call to call.
#include "../backend/arena.hpp"
#include "../core/random.hpp"
#include "../core/view.hpp"
#include "../model/concept.hpp"
#include "../network/call.hpp"
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
    T alpha = 0, sigma = 0;               ///< x = alpha x0 + sigma epsilon, what the network reads: input_scale x_t
    T target_x0 = 0, target_epsilon = 0;  ///< target = target_x0 x0 + target_epsilon epsilon
    T a = 0, b = 1;                       ///< prediction = a x + b F
    T weight = 1;
};

/// What an objective hands to `accumulate`. All memory comes from the arena it was given.
template <class T, class Backend> struct regression {
    network_call<T, Backend> call;      ///< where the network is evaluated
    T const* target = nullptr;          ///< [n, ...]
    regression_row<T>* rows = nullptr;  ///< [n]; of each only a, b and weight are used
    T* output = nullptr;                ///< [n, ...], F where the builder has run the forward pass already; null: it has not
};

template <class O, class Model, class T, class Backend>
concept builds = requires(O const& o, Model& model, batch<T, Backend> const& data, random_key key, arena<Backend>& memory) {
    { o.build(model, data, key, memory) } -> std::same_as<regression<T, Backend>>;
};
template <class O, class Model, class Target, class T, class Backend>
concept builds_with_target = requires(O const& o, Model& model, Target& target, batch<T, Backend> const& data, random_key key,
                                      arena<Backend>& memory) {
    { o.build(model, target, data, key, memory) } -> std::same_as<regression<T, Backend>>;
};

/// `build` makes the problem for one batch; `distance` is how residuals are measured.
template <class O, class Model, class T, class Backend>
concept objective = spec<O> && distance<std::remove_cvref_t<decltype(std::declval<O const&>().distance())>> &&
    (builds<O, Model, T, Backend> || builds_with_target<O, Model, Model, T, Backend>);

/// Whether an objective moves an average of its own that its targets come from.
template <class O>
concept has_target_decay = requires(O const& o, index_t step) {
    { o.target_decay(step) } -> std::same_as<double>;
};
template <class O> constexpr bool learns_weight() {
    if constexpr (requires { O::learns_weight; }) return O::learns_weight;
    else return false;
}

}  // namespace onestep
