#pragma once
#include "../parameters.hpp"

namespace onestep::layer {

namespace functor {
/// y(r, c) += bias(c).
template <class T> struct add_bias {
    T* y;
    T const* bias;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const { y[r * cols + c] += bias[c]; }
};
/// The value at (r, c) of a row-major matrix.
template <class T> struct element {
    T const* x;
    index_t stride;
    ONESTEP_HD T operator()(index_t r, index_t c) const { return x[r * stride + c]; }
};
/// y += x.
template <class T> struct add_vector {
    T* y;
    T const* x;
    ONESTEP_HD void operator()(index_t i) const { y[i] += x[i]; }
};
/// total(c) += sum.
template <class T> struct add_to {
    T* total;
    ONESTEP_HD void operator()(index_t c, T sum) const { total[c] += sum; }
};
}  // namespace functor

/// y = x W^T + b.   x [n, in], W [out, in], b [out], y [n, out].
///
/// `weights` and `gradients` are the bases of the network's flat buffers. Gradients of parameters add, gradients of
/// activations overwrite. Initial weights are normal with deviation gain / sqrt(in), biases zero.
/// Cost: one product forward, two backward.
template <class T, backend Backend> class linear {
public:
    linear() = default;
    linear(parameter_list& list, std::string const& name, index_t in, index_t out, double gain = 1, bool with_bias = true)
        : in_(in), out_(out), with_bias_(with_bias) {
        weight_ = list.add(name + ".weight", {out, in}, gain / std::sqrt(static_cast<double>(in)));
        bias_ = with_bias ? list.add(name + ".bias", {out}, 0) : weight_;
    }

    index_t in() const { return in_; }
    index_t out() const { return out_; }
    T const* bias(T const* weights) const { return weights + bias_; }

    /// y = x W^T + beta y, without the bias: a tangent's forward, and what a fused pass completes. `y_stride`: elements
    /// between rows of y.
    void multiply(Backend& device, T const* weights, index_t n, T const* x, T* y, T beta = 0, index_t y_stride = 0) const {
        device.gemm(op::plain, op::transposed, n, out_, in_, T(1), x, in_, weights + weight_, in_, beta, y, y_stride ? y_stride : out_);
    }
    void forward(Backend& device, T const* weights, index_t n, T const* x, T* y) const {
        multiply(device, weights, n, x, y);
        if (with_bias_) device.for_each_pair(n, out_, functor::add_bias<T>{y, bias(weights), out_});
    }
    /// dx = dy W.
    void backward_input(Backend& device, T const* weights, index_t n, T const* dy, T* dx, index_t dy_stride = 0) const {
        device.gemm(op::plain, op::plain, n, in_, out_, T(1), dy, dy_stride ? dy_stride : out_, weights + weight_, in_, T(0), dx, in_);
    }
    /// dW += dy^T x.
    void backward_weight(Backend& device, T* gradients, index_t n, T const* x, T const* dy, index_t dy_stride = 0) const {
        device.gemm(op::transposed, op::plain, out_, in_, n, T(1), dy, dy_stride ? dy_stride : out_, x, in_, T(1), gradients + weight_,
                    in_);
    }
    /// db += column sums of dy.
    void backward_bias(Backend& device, T* gradients, index_t n, T const* dy, index_t dy_stride = 0) const {
        if (with_bias_)
            device.template reduce_columns<T>(n, out_, functor::element<T>{dy, dy_stride ? dy_stride : out_},
                                              functor::add_to<T>{gradients + bias_});
    }
    void backward_parameters(Backend& device, T* gradients, index_t n, T const* x, T const* dy, index_t dy_stride = 0) const {
        backward_weight(device, gradients, n, x, dy, dy_stride);
        backward_bias(device, gradients, n, dy, dy_stride);
    }
    /// All three; dx may be null.
    void backward(Backend& device, T const* weights, T* gradients, index_t n, T const* x, T const* dy, T* dx) const {
        backward_parameters(device, gradients, n, x, dy);
        if (dx) backward_input(device, weights, n, dy, dx);
    }

private:
    index_t in_ = 0, out_ = 0, weight_ = 0, bias_ = 0;
    bool with_bias_ = true;
};

}  // namespace onestep::layer
