#pragma once
#include "linear.hpp"
#include "silu.hpp"

namespace onestep::layer {

namespace functor {
/// h' = h + r + bias; u = silu(h'). h' may be r. Tangents lie `rows` rows behind, without the bias.
template <class T, bool Stacked> struct residual_silu {
    T const *h, *bias;
    T *r, *u;
    index_t cols, rows;
    ONESTEP_HD void operator()(index_t row, index_t c) const {
        index_t const i = row * cols + c;
        T const value = h[i] + r[i] + bias[c];
        T const s = math::sigmoid(value);
        T const activated = value * s;
        r[i] = value;
        u[i] = activated;
        if constexpr (Stacked) {
            index_t const j = i + rows * cols;
            T const tangent = h[j] + r[j];
            r[j] = tangent;
            u[j] = tangent * math::fma(activated, T(1) - s, s);
        }
    }
};
/// dh += du silu'(h).
template <class T> struct add_silu_gradient {
    T const *h, *du;
    T* dh;
    ONESTEP_HD void operator()(index_t i) const { dh[i] = math::fma(du[i], silu_derivative(h[i]), dh[i]); }
};
}  // namespace functor

/// A pre-activation residual block of width w with an additive condition:
///
///     z = A u + a + shift      u = silu(h)
///     h' = h + B silu(z) + b   u' = silu(h')
///
/// The activation that the next block reads is made in the pass that adds the residual. B starts at zero, so a new
/// block is the identity. Cost: two products and two passes forward, four products and three passes backward.
template <class T, backend Backend> class residual_block {
public:
    /// What the backward pass needs, each [n, w] (or [2 n, w] with tangents): owned by the caller's arena.
    struct tape {
        T const* h;  ///< input
        T const* u;  ///< silu(input)
        T* z;
        T* v;       ///< silu(z)
        T* h_next;
        T* u_next;
    };

    residual_block(parameter_list& list, std::string const& name, index_t width)
        : first_(list, name + ".first", width, width), second_(list, name + ".second", width, width, 0) {}

    index_t width() const { return first_.in(); }

    /// Writes z, v, h_next, u_next. shift [n, ...] has rows `shift_stride` apart. With `stacked`, rows n .. 2 n - 1 of every
    /// tensor are tangents.
    void forward(Backend& device, T const* weights, index_t n, bool stacked, tape const& at, T const* shift, index_t shift_stride) const {
        index_t const rows = stacked ? 2 * n : n, w = width();
        first_.multiply(device, weights, rows, at.u, at.z);
        if (stacked) device.for_each_pair(n, w, functor::bias_silu<T, true, true>{first_.bias(weights), shift, at.z, at.v, w, shift_stride, n});
        else device.for_each_pair(n, w, functor::bias_silu<T, true, false>{first_.bias(weights), shift, at.z, at.v, w, shift_stride, n});
        second_.multiply(device, weights, rows, at.v, at.h_next);
        if (stacked) device.for_each_pair(n, w, functor::residual_silu<T, true>{at.h, second_.bias(weights), at.h_next, at.u_next, w, n});
        else device.for_each_pair(n, w, functor::residual_silu<T, false>{at.h, second_.bias(weights), at.h_next, at.u_next, w, n});
    }

    /// On entry dh = dL/dh'; on return dL/dh. dshift [n, ...] (rows `shift_stride` apart) is overwritten; scratch is [n, w].
    void backward(Backend& device, T const* weights, T* gradients, index_t n, tape const& at, T* dh, T* dshift, index_t shift_stride,
                  T* scratch) const {
        index_t const w = width();
        second_.backward(device, weights, gradients, n, at.v, dh, scratch);
        device.template reduce_columns<T>(n, w, functor::silu_gradient_term<T>{at.z, scratch, dshift, w, shift_stride},
                                          functor::add_to<T>{first_.bias_gradient(gradients)});
        first_.backward_weight(device, gradients, n, at.u, dshift, shift_stride);
        first_.backward_input(device, weights, n, dshift, scratch, shift_stride);
        device.for_each_index(n * w, functor::add_silu_gradient<T>{at.h, scratch, dh});
    }

private:
    linear<T, Backend> first_, second_;
};

}  // namespace onestep::layer
