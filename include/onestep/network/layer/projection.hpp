#pragma once
#include "../../backend/convolution.hpp"
#include "../parameters.hpp"
#include "joined.hpp"
#include "linear.hpp"

namespace onestep::layer {

/// A 1x1 convolution with bias of an image that may be two tensors side by side: y(pixel) = W x(pixel) + b, one product for each of them.
///
/// Its weight has PyTorch's extents, [out, in, 1, 1], and lies in memory as [in][out]. Initial weights are normal with deviation 1 /
/// sqrt(in), biases zero. `rows` counts pixels. Gradients of parameters add.
template <class T, backend Backend> class projection {
public:
    projection(parameter_list& list, std::string const& name, index_t in, index_t out) : in_(in), out_(out) {
        weight_ = list.add({name + ".weight", {out, in, 1, 1}, 0, 1 / std::sqrt(static_cast<double>(in)), 0, {2, 3, 1, 0}});
        bias_ = list.add(name + ".bias", {out}, 0);
    }

    void forward(Backend& device, T const* weights, index_t rows, joined<T const> const& x, T* y) const {
        tangent(device, weights, rows, x, y);
        device.for_each_pair(rows, out_, functor::add_bias<T>{y, weights + bias_, out_});
    }
    /// Without the bias.
    void tangent(Backend& device, T const* weights, index_t rows, joined<T const> const& vx, T* vy) const {
        T const* const w = weights + weight_;
        device.gemm(op::plain, op::plain, rows, out_, vx.a_channels, T(1), vx.a, vx.a_channels, w, out_, T(0), vy, out_);
        if (index_t const rest = in_ - vx.a_channels; rest > 0)
            device.gemm(op::plain, op::plain, rows, out_, rest, T(1), vx.b, rest, w + vx.a_channels * out_, out_, T(1), vy, out_);
    }
    /// dx = dy W', or dx += with `add`, and the gradients of parameters.
    void backward(Backend& device, T const* weights, T* gradients, index_t rows, joined<T const> const& x, T const* dy, joined<T> const& dx,
                  bool add) const {
        T const keeps = add ? T(1) : T(0);
        auto const part = [&](T const* from, T* to, index_t first, index_t channels) {
            if (channels == 0) return;
            device.gemm(op::plain, op::transposed, rows, channels, out_, T(1), dy, out_, weights + weight_ + first * out_, out_, keeps, to,
                        channels);
            device.gemm(op::transposed, op::plain, channels, out_, rows, T(1), from, channels, dy, out_, T(1),
                        gradients + weight_ + first * out_, out_);
        };
        part(x.a, dx.a, 0, x.a_channels);
        part(x.b, dx.b, x.a_channels, in_ - x.a_channels);
        device.template reduce_columns<T>(rows, out_, functor::element<T>{dy, out_}, functor::add_to<T>{gradients + bias_});
    }

private:
    index_t in_, out_, weight_, bias_;
};

}  // namespace onestep::layer
