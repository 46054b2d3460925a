#pragma once
/// What shortcut models and mean flow share: x_t, the velocity of its path as first target, and several times a row.
#include "../backend/random_fill.hpp"
#include "../model/flow_map_model.hpp"
#include "regression_rows.hpp"

namespace onestep {

/// The part of a batch's problem that holds for every average velocity: the network's answer is the prediction, and the target is the
/// velocity of the path, alpha' x0 + sigma' epsilon, until the objective says more.
template <class T, class Numbers, class Backend> struct velocity_rows {
    Backend* device;
    shape extents;            ///< of x
    T* times;                 ///< n of t, n of s, and more, as the network is told
    regression_row<T>* rows;  ///< [n]
    Numbers* numbers;         ///< [n], what else a row needs
    T *x, *target;            ///< [n, ...]

    /// The k-th time of the first `count` rows.
    view<T const, Backend> time(index_t k, index_t count) const { return {*device, times + k * extents.rows(), {count}}; }
    /// The first `count` rows of a tensor of x's shape.
    view<T, Backend> first(index_t count, T* tensor) const { return {*device, tensor, extents.with_rows(count)}; }
};

/// Builds it. make(row, times, numbers) writes `Times` times on the network's clock and the other numbers, and returns the marginal of
/// x_t. Noise is that of the batch, else drawn from (key, noise). Throws shape_error if noise is given that is not shaped like x0.
template <int Times, class Numbers, class T, class Backend, class Make>
velocity_rows<T, Numbers, Backend> make_velocity_rows(char const* object, batch<T, Backend> const& data, random_key key,
                                                      arena<Backend>& memory, Make const& make) {
    if (!data.noise.empty()) require_shape(object, "noise", data.noise, data.x0.shape());
    Backend& device = data.x0.backend();
    index_t const n = data.x0.rows(), d = data.x0.cols();
    velocity_rows<T, Numbers, Backend> const out{&device,
                                                 data.x0.shape(),
                                                 memory.template take<T>(Times * n),
                                                 memory.template take<regression_row<T>>(n),
                                                 memory.template take<Numbers>(n),
                                                 memory.template take<T>(n * d),
                                                 memory.template take<T>(n * d)};
    constexpr index_t part = 128;
    T times[Times][part];
    regression_row<T> row[part];
    Numbers numbers[part];
    for (index_t first = 0; first < n; first += part) {
        index_t const count = std::min(part, n - first);
        for (index_t i = 0; i < count; ++i) {
            double told[Times] = {};
            marginal const m = make(first + i, told, numbers[i]);
            for (int k = 0; k < Times; ++k) times[k][i] = static_cast<T>(told[k]);
            row[i] = {static_cast<T>(m.alpha), static_cast<T>(m.sigma), static_cast<T>(m.alpha_derivative),
                      static_cast<T>(m.sigma_derivative)};
        }
        for (int k = 0; k < Times; ++k) device.upload(times[k], count, out.times + k * n + first);
        device.upload(row, count, out.rows + first);
        device.upload(numbers, count, out.numbers + first);
    }
    if (data.noise.empty())
        for_each_normal(device, key.at(draw::noise), n, d, functor::mix_noise<T>{out.rows, data.x0.data(), out.x, out.target});
    else device.for_each_pair(n, d, functor::mix_pair<T>{out.rows, data.x0.data(), data.noise.data(), out.x, out.target, d});
    return out;
}

/// Refuses, by sentences, what is not a flow map of average velocity over a network with two times.
template <class Model, class T, class Backend> constexpr void require_average_velocity() {
    static_assert(two_time_map<Model> && std::same_as<typename Model::target_type, average_velocity>,
                  "This objective trains a flow map that predicts average velocities: flow_map_model{net, process}.");
    require_two_times<Model, T, Backend>();
}

}  // namespace onestep
