#pragma once
/// The one training pass behind every objective.
#include "../network/dropping.hpp"
#include "learned_weight.hpp"

namespace onestep {

/// The loss of a batch: what was differentiated, and the same without weights.
struct loss_value {
    double weighted = 0;
    double plain = 0;
    operator double() const { return weighted; }
};

namespace functor {
/// Squared residual at (r, c); writes dL/dF where its factor does not depend on the residual's norm.
template <class T, distance Distance> struct residual_term {
    regression_row<T> const* rows;
    T const *x, *f, *target;
    T* df;
    Distance rho;
    index_t n, cols;
    ONESTEP_HD double operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        regression_row<T> const row = rows[r];
        T const residual = math::fma(row.a, x[i], math::fma(row.b, f[i], -target[i]));
        if constexpr (Distance::constant_slope)
            df[i] =
                static_cast<T>(static_cast<double>(row.weight) * static_cast<double>(row.b) * rho.slope(0, cols) / static_cast<double>(n)) *
                residual;
        return static_cast<double>(residual) * static_cast<double>(residual);
    }
};
/// Keeps a row's losses and the factor of its gradient.
template <class T, distance Distance> struct residual_sink {
    regression_row<T> const* rows;
    loss_value* losses;
    T* factor;
    Distance rho;
    index_t n, cols;
    ONESTEP_HD void operator()(index_t r, double square) const {
        double const value = rho.value(square, cols), weight = static_cast<double>(rows[r].weight);
        losses[r] = {weight * value, plain_distance(rho, square, cols)};
        if constexpr (!Distance::constant_slope)
            factor[r] = static_cast<T>(weight * static_cast<double>(rows[r].b) * rho.slope(square, cols) / static_cast<double>(n));
    }
};
/// dL/dF = factor(r) residual.
template <class T> struct residual_gradient {
    regression_row<T> const* rows;
    T const *x, *f, *target, *factor;
    T* df;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        df[i] = factor[r] * math::fma(rows[r].a, x[i], math::fma(rows[r].b, f[i], -target[i]));
    }
};
/// Two sums at once.
struct loss_sum {
    double weighted = 0, plain = 0;
    ONESTEP_HD loss_sum& operator+=(loss_sum const& other) {
        weighted += other.weighted;
        plain += other.plain;
        return *this;
    }
};
struct loss_term {
    loss_value const* losses;
    ONESTEP_HD loss_sum operator()(index_t, index_t c) const { return {losses[c].weighted, losses[c].plain}; }
};
struct loss_mean {
    loss_value* mean;
    double n;
    ONESTEP_HD void operator()(index_t, loss_sum const& sum) const { *mean = {sum.weighted / n, sum.plain / n}; }
};
/// The gradient of a learned weight: dL/dv = (1 - e^-v w distance) / n.
template <class T> struct weight_gradient {
    loss_value const* losses;
    T* dv;
    double n;
    ONESTEP_HD void operator()(index_t r) const { dv[r] = static_cast<T>((1 - losses[r].weighted) / n); }
};
/// The loss with what a learned weight adds to it.
template <class T> struct add_log_weight {
    loss_value* losses;
    T const* v;
    ONESTEP_HD void operator()(index_t r) const { losses[r].weighted += static_cast<double>(v[r]); }
};
}  // namespace functor

/// What a step may bring along beside model and batch.
template <class Target, class T, class Backend> struct accumulate_with {
    Target& target;                                ///< the model whose weights targets come from
    learned_weight<T, Backend>* weight = nullptr;  ///< null: none
};

/// Adds the gradient of the objective's mean loss over a batch to the network's gradients() and returns the loss.
///
///     build the problem -> network forward -> one pass for residual, loss and dL/dF -> network backward
///
/// Networks with dropout drop during the call, model and target the same activations; a teacher inside the objective drops none.
/// A distance whose slope depends on the residual's norm takes a second pass over F. `key` addresses all randomness of
/// the step, and key.step is the training step that curricula go by. Scratch memory comes from the backend's pool: a warm call
/// allocates nothing. Throws what the objective and the network throw, before any gradient is touched; a loss that is not finite is
/// returned as it is.
///
/// `with` brings the model that targets are asked of (by default the model itself), and a learned weight, whose gradients are added
/// to as well.
template <class Objective, class Model, class Target, class T, class Backend>
loss_value accumulate(Objective const& objective, Model&& model, batch<T, Backend> const& data, random_key key,
                      accumulate_with<Target, T, Backend> const& with) {
    using model_type = std::remove_reference_t<Model>;
    require_two_times<model_type, T, Backend>();
    static_assert(trains<model_type>(),
                  "This objective trains: the network also needs forward(x, t, y), backward(dy), parameters() and gradients().");
    static_assert(onestep::objective<Objective, model_type, T, Backend>,
                  "This objective does not fit this model: see objective/concept.hpp.");
    if (data.x0.empty()) raise<shape_error>("accumulate", "x0 is " + to_string(data.x0.shape()), "there must be at least one sample");
    if (data.labels.data() != nullptr) require_shape("accumulate", "labels", data.labels, {data.x0.rows()});
    Backend& device = data.x0.backend();
    auto const memory = device.scratch();
    dropping const student(model.network(), key), older(with.target.network(), key);
    index_t const n = data.x0.rows(), d = data.x0.cols();
    auto const build = [&] {
        if constexpr (builds_with_target<Objective, model_type, Target, T, Backend>)
            return objective.build(model, with.target, data, key, *memory);
        else return objective.build(model, data, key, *memory);
    };
    regression<T, Backend> const problem = build();
    T* const f = problem.output != nullptr ? problem.output : memory->template take<T>(n * d);
    T* const df = memory->template take<T>(n * d);
    T* const factor = memory->template take<T>(n);
    loss_value* const losses = memory->template take<loss_value>(n + 1);

    if (problem.output == nullptr)
        forward<asks_two_times<model_type>()>(model.network(), problem.call, view<T, Backend>(device, f, data.x0.shape()));
    view<T const, Backend> v;
    if (with.weight != nullptr) {
        v = with.weight->forward(problem.call.t);
        device.for_each_index(n, functor::weigh_down<T>{problem.rows, v.data()});
    }
    auto const rho = objective.distance();
    using distance_type = std::remove_cvref_t<decltype(rho)>;
    T const* const x = problem.call.x.data();
    device.template reduce_rows<double>(n, d, functor::residual_term<T, distance_type>{problem.rows, x, f, problem.target, df, rho, n, d},
                                        functor::residual_sink<T, distance_type>{problem.rows, losses, factor, rho, n, d});
    if constexpr (!distance_type::constant_slope)
        device.for_each_pair(n, d, functor::residual_gradient<T>{problem.rows, x, f, problem.target, factor, df, d});
    model.network().backward(view<T const, Backend>(device, df, data.x0.shape()));
    if (with.weight != nullptr) {
        T* const dv = memory->template take<T>(n);
        device.for_each_index(n, functor::weight_gradient<T>{losses, dv, static_cast<double>(n)});
        with.weight->backward(view<T const, Backend>(device, dv, {n}));
        device.for_each_index(n, functor::add_log_weight<T>{losses, v.data()});
    }

    device.template reduce_rows<functor::loss_sum>(1, n, functor::loss_term{losses},
                                                   functor::loss_mean{losses + n, static_cast<double>(n)});
    loss_value loss;
    device.download(losses + n, 1, &loss);
    return loss;
}

/// The same with targets from the model itself.
template <class Objective, class Model, class T, class Backend>
loss_value accumulate(Objective const& objective, Model&& model, batch<T, Backend> const& data, random_key key) {
    return accumulate(objective, model, data, key, accumulate_with<std::remove_reference_t<Model>, T, Backend>{model});
}
/// The same with targets from `target`, an averaged model, say.
template <class Objective, class Model, class Target, class T, class Backend>
loss_value accumulate(Objective const& objective, Model&& model, Target& target, batch<T, Backend> const& data, random_key key) {
    return accumulate(objective, model, data, key, accumulate_with<Target, T, Backend>{target});
}

/// The same for a batch of clean samples alone.
template <class Objective, class Model, class T, class Backend>
loss_value accumulate(Objective const& objective, Model&& model, view<T, Backend> x0, random_key key) {
    return accumulate(objective, model, batch<std::remove_const_t<T>, Backend>{x0}, key);
}

}  // namespace onestep
