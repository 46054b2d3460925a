#pragma once
#include "../../backend/concept.hpp"
#include "../../core/math.hpp"

namespace onestep {

/// silu(x) = x / (1 + e^-x). Smooth, as derivatives in t of a network need it. Source: Hendrycks, Gimpel 2016 (arXiv:1606.08415).
template <class T> ONESTEP_HD_INLINE T silu(T x) { return x * math::sigmoid(x); }

/// d silu / dx = s (1 + x (1 - s)),  s = sigmoid(x).
template <class T> ONESTEP_HD_INLINE T silu_derivative(T x) {
    T const s = math::sigmoid(x);
    return math::fma(x * s, T(1) - s, s);
}

namespace layer {

namespace functor {
template <class T> struct silu_forward {
    T const* x;
    T* y;
    ONESTEP_HD void operator()(index_t i) const { y[i] = onestep::silu(x[i]); }
};
template <class T> struct silu_backward {
    T const *x, *dy;
    T* dx;
    ONESTEP_HD void operator()(index_t i) const { dx[i] = dy[i] * silu_derivative(x[i]); }
};
template <class T> struct silu_jvp {
    T const *x, *vx;
    T *y, *vy;
    ONESTEP_HD void operator()(index_t i) const {
        T const s = math::sigmoid(x[i]);
        T const value = x[i] * s;
        vy[i] = vx[i] * math::fma(value, T(1) - s, s);
        y[i] = value;
    }
};
/// What a fused activation leaves behind beside its result: for the layers that follow, and for a backward pass, to which the
/// derivative says all and spares a second exponential.
enum class keep { nothing, value, slope, value_and_slope };

/// p = z + bias (+ shift); v = silu(p). One pass where the parts would take three. z becomes p (keep::value), silu'(p)
/// (keep::slope) or is left alone; with keep::value_and_slope it becomes p and `slope` takes silu'(p). Tangents, where there
/// are any, lie `rows` rows behind their primals.
template <class T, bool Shifted, bool Stacked, keep Keep> struct bias_silu {
    T const *bias, *shift;  // shift is [n, ...] with its own stride
    T *z, *v, *slope;
    index_t cols, shift_stride, rows;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        T value = z[i] + bias[c];
        if constexpr (Shifted) value += shift[r * shift_stride + c];
        T const s = math::sigmoid(value);
        T const activated = value * s, derivative = math::fma(activated, T(1) - s, s);
        if constexpr (Keep == keep::value || Keep == keep::value_and_slope) z[i] = value;
        if constexpr (Keep == keep::slope) z[i] = derivative;
        if constexpr (Keep == keep::value_and_slope) slope[i] = derivative;
        v[i] = activated;
        if constexpr (Stacked) {
            index_t const j = i + rows * cols;
            T tangent = z[j];
            if constexpr (Shifted) tangent += shift[(r + rows) * shift_stride + c];
            if constexpr (Keep != keep::nothing) z[j] = tangent;
            v[j] = tangent * derivative;
        }
    }
};
/// dz = dv slope; the rows of dz may lie further apart.
template <class T> struct slope_product {
    T const *slope, *dv;
    T* dz;
    index_t cols, dz_stride;
    ONESTEP_HD void operator()(index_t r, index_t c) const { dz[r * dz_stride + c] = dv[r * cols + c] * slope[r * cols + c]; }
};
}  // namespace functor

/// Elementwise silu in its three modes, one pass each.
template <class T, backend Backend> struct silu {
    void forward(Backend& device, index_t size, T const* x, T* y) const { device.for_each_index(size, functor::silu_forward<T>{x, y}); }
    /// dx = dy silu'(x); dx may be dy.
    void backward(Backend& device, index_t size, T const* x, T const* dy, T* dx) const {
        device.for_each_index(size, functor::silu_backward<T>{x, dy, dx});
    }
    void jvp(Backend& device, index_t size, T const* x, T const* vx, T* y, T* vy) const {
        device.for_each_index(size, functor::silu_jvp<T>{x, vx, y, vy});
    }
};

}  // namespace layer
}  // namespace onestep
