#pragma once
#include "linear.hpp"
#include "silu.hpp"

namespace onestep::layer {

namespace functor {
/// h' = h + r + bias; u = silu(h'); with `Kept` slope = silu'(h'). h' may be r. Tangents lie `rows` rows behind, without the bias.
template <class T, bool Stacked, bool Kept> struct residual_silu {
    T const *h, *bias;
    T *r, *u, *slope;
    index_t cols, rows;
    ONESTEP_HD void operator()(index_t row, index_t c) const {
        index_t const i = row * cols + c;
        T const value = h[i] + r[i] + bias[c];
        T const s = math::sigmoid(value);
        T const activated = value * s, derivative = math::fma(activated, T(1) - s, s);
        r[i] = value;
        u[i] = activated;
        if constexpr (Kept) slope[i] = derivative;
        if constexpr (Stacked) {
            index_t const j = i + rows * cols;
            T const tangent = h[j] + r[j];
            r[j] = tangent;
            u[j] = tangent * derivative;
        }
    }
};
/// vz = (vz + vshift) slope; the rows of vshift may lie further apart.
template <class T> struct shifted_slope_product {
    T const *slope, *vshift;
    T* vz;
    index_t cols, shift_stride;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        vz[i] = (vz[i] + vshift[r * shift_stride + c]) * slope[i];
    }
};
/// dh = dh' + du slope.
template <class T> struct add_slope_product {
    T const *slope, *du, *dh_next;
    T* dh;
    ONESTEP_HD void operator()(index_t i) const { dh[i] = math::fma(du[i], slope[i], dh_next[i]); }
};
}  // namespace functor

/// A pre-activation residual block of width w with an additive condition:
///
///     z = A u + a + shift      u = silu(h)
///     h' = h + B silu(z) + b   u' = silu(h')
///
/// The activation that the next block reads is made in the pass that adds the residual. B starts at zero, so a new
/// block is the identity. Cost: two products and two passes forward, four products and four passes backward.
///
/// Backward comes in two parts, so that a network can take blocks of rows through all of its layers and sum over rows
/// afterwards.
template <class T, backend Backend> class residual_block {
public:
    /// The tensors of one block, each [n, w] (or [2 n, w] with tangents), owned by the caller. A backward pass needs u, z, v and
    /// h_slope again; where none follows, both slopes are null.
    struct tape {
        T const* h;        ///< input
        T const* u;        ///< silu(h)
        T* z;              ///< room for the product; afterwards silu'(z) if slopes are kept
        T* v;              ///< silu(z)
        T* h_next;         ///< output
        T* u_next;         ///< silu(h_next)
        T const* h_slope;  ///< silu'(h)
        T* h_next_slope;   ///< silu'(h_next)
    };

    residual_block(parameter_list& list, std::string const& name, index_t width)
        : first_(list, name + ".first", width, width), second_(list, name + ".second", width, width, 0) {}

    index_t width() const { return first_.in(); }

    /// Writes z, v, h_next, u_next and, where a backward pass shall follow, h_next_slope. shift [n, ...] has rows `shift_stride`
    /// apart. Stacked: rows n .. 2 n - 1 of every tensor are tangents, and no slopes are kept.
    template <bool Stacked>
    void forward(Backend& device, T const* weights, index_t n, tape const& at, T const* shift, index_t shift_stride) const {
        index_t const rows = Stacked ? 2 * n : n;
        first_.multiply(device, weights, rows, at.u, at.z);
        bool const kept = !Stacked && at.h_next_slope != nullptr;
        if (kept) activate<false, keep::slope>(device, weights, n, at, shift, shift_stride);
        else activate<Stacked, keep::nothing>(device, weights, n, at, shift, shift_stride);
        second_.multiply(device, weights, rows, at.v, at.h_next);
        if (kept) add<false, true>(device, weights, n, at);
        else add<Stacked, false>(device, weights, n, at);
    }

    /// Tangents of n rows whose forward pass has kept its slopes: vh and vu enter as those of h and u and leave as those of h' and u'.
    /// vshift [n, ...] has rows `shift_stride` apart; vz is room for [n, w].
    void tangent(Backend& device, T const* weights, index_t n, tape const& at, T* vh, T* vu, T* vz, T const* vshift,
                 index_t shift_stride) const {
        index_t const w = width();
        first_.multiply(device, weights, n, vu, vz);
        device.for_each_pair(n, w, functor::shifted_slope_product<T>{at.z, vshift, vz, w, shift_stride});
        second_.multiply(device, weights, n, vz, vh, T(1));
        device.for_each_pair(n, w, functor::slope_product<T>{at.h_next_slope, vh, vu, w, w});
    }
    /// From dh_next = dL/dh' to dh = dL/dh and dshift = dL/dz [n, ...] (rows `shift_stride` apart), row by row. scratch is [n, w].
    void backward_rows(Backend& device, T const* weights, index_t n, tape const& at, T const* dh_next, T* dh, T* dshift,
                       index_t shift_stride, T* scratch) const {
        index_t const w = width();
        second_.backward_input(device, weights, n, dh_next, scratch);
        device.for_each_pair(n, w, functor::slope_product<T>{at.z, scratch, dshift, w, shift_stride});
        first_.backward_input(device, weights, n, dshift, scratch, shift_stride);
        device.for_each_index(n * w, functor::add_slope_product<T>{at.h_slope, scratch, dh_next, dh});
    }
    /// Adds dL/dparameters, from what backward_rows read and wrote.
    void backward_parameters(Backend& device, T* gradients, index_t n, tape const& at, T const* dh_next, T const* dshift,
                             index_t shift_stride) const {
        second_.backward_parameters(device, gradients, n, at.v, dh_next);
        first_.backward_parameters(device, gradients, n, at.u, dshift, shift_stride);
    }

private:
    using keep = functor::keep;

    template <bool Stacked, keep Keep>
    void activate(Backend& device, T const* weights, index_t n, tape const& at, T const* shift, index_t shift_stride) const {
        device.for_each_pair(
            n, width(),
            functor::bias_silu<T, true, Stacked, Keep>{first_.bias(weights), shift, at.z, at.v, nullptr, width(), shift_stride, n});
    }
    template <bool Stacked, bool Kept> void add(Backend& device, T const* weights, index_t n, tape const& at) const {
        device.for_each_pair(
            n, width(),
            functor::residual_silu<T, Stacked, Kept>{at.h, second_.bias(weights), at.h_next, at.u_next, at.h_next_slope, width(), n});
    }

    linear<T, Backend> first_, second_;
};

}  // namespace onestep::layer
