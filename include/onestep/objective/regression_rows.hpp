#pragma once
/// Coefficients of a regression problem, computed in double on the host and sent to the backend's memory.
#include <algorithm>

#include "concept.hpp"

namespace onestep {

/// Fills t [n] and rows [n] in backend memory with what make(row, time) writes and returns, a part at a time.
template <class T, class Backend, class Make>
void upload_rows(Backend& device, index_t n, T* t, regression_row<T>* rows, Make const& make) {
    constexpr index_t part = 128;
    T times[part];
    regression_row<T> row[part];
    for (index_t first = 0; first < n; first += part) {
        index_t const count = std::min(part, n - first);
        for (index_t i = 0; i < count; ++i) {
            double time = 0;
            regression_row<double> const exact = make(first + i, time);
            times[i] = static_cast<T>(time);
            row[i] = {static_cast<T>(exact.alpha),          static_cast<T>(exact.sigma), static_cast<T>(exact.target_x0),
                      static_cast<T>(exact.target_epsilon), static_cast<T>(exact.a),     static_cast<T>(exact.b),
                      static_cast<T>(exact.weight)};
        }
        device.upload(times, count, t + first);
        device.upload(row, count, rows + first);
    }
}

namespace functor {
/// x_t and target of a pair in one pass; the noise is given.
template <class T> struct mix_pair {
    regression_row<T> const* rows;
    T const *x0, *noise;
    T *x, *target;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        regression_row<T> const row = rows[r];
        x[i] = math::fma(row.alpha, x0[i], row.sigma * noise[i]);
        target[i] = math::fma(row.target_x0, x0[i], row.target_epsilon * noise[i]);
    }
};
/// The same with noise made on the spot.
template <class T> struct mix_noise {
    regression_row<T> const* rows;
    T const* x0;
    T *x, *target;
    ONESTEP_HD void operator()(index_t r, index_t i, float z) const {
        regression_row<T> const row = rows[r];
        T const clean = x0[i], noise = static_cast<T>(z);
        x[i] = math::fma(row.alpha, clean, row.sigma * noise);
        target[i] = math::fma(row.target_x0, clean, row.target_epsilon * noise);
    }
};
}  // namespace functor

}  // namespace onestep
