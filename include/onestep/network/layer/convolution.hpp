#pragma once
#include "../../backend/convolution.hpp"
#include "../parameters.hpp"
#include "linear.hpp"

namespace onestep::layer {

/// A convolution with bias. x [n, height, width, in], y [n, height / stride, width / stride, out] rounded up; 3x3 or 1x1, with `padding`
/// kernel / 2 all round: PyTorch's Conv2d(in, out, kernel, stride, kernel / 2).
///
/// Its weight has PyTorch's name and extents, [out, in, kernel, kernel], and lies in memory as [kernel, kernel, in, out]. Initial weights
/// are normal with deviation gain / sqrt(kernel^2 in), biases zero. Gradients of parameters add, gradients of x overwrite.
///
/// What the backend makes of weights before it can use them may lie in a buffer of the network: `prepare` fills this layer's part of it,
/// and must be called again when the weights have changed. Where that buffer is null, a layer does it on its own each time.
template <class T, backend Backend> class convolution {
public:
    convolution() = default;
    /// `prepared` is the size of the network's buffer so far.
    convolution(parameter_list& list, std::string const& name, convolution_shape const& at, accuracy how, double gain, index_t& prepared)
        : at_(at), way_(at, how), prepared_(prepared) {
        double const deviation = gain / std::sqrt(static_cast<double>(at.taps() * at.in));
        weight_ = list.add({name + ".weight", {at.out, at.in, at.kernel, at.kernel}, 0, deviation, 0, {2, 3, 1, 0}});
        bias_ = list.add(name + ".bias", {at.out}, 0);
        // Parts begin at cache lines.
        prepared += (way_.prepared_size() + 15) / 16 * 16;
    }

    convolution_shape const& at() const { return at_; }
    index_t y_size() const { return at_.out_pixels() * at_.out; }

    void prepare(Backend& device, T const* weights, T* prepared) const { way_.prepare(device, weights + weight_, prepared + prepared_); }

    /// y = x * w + bias + more. `more.bias` is not looked at; more.residual may be y.
    void forward(Backend& device, T const* weights, T const* prepared, index_t n, T const* x, added<T> more, T* y) const {
        more.bias = weights + bias_;
        convolve(device, weights, prepared, n, x, more, y);
    }
    /// vy = vx * w + more, without the bias.
    void tangent(Backend& device, T const* weights, T const* prepared, index_t n, T const* vx, added<T> more, T* vy) const {
        more.bias = nullptr;
        convolve(device, weights, prepared, n, vx, more, vy);
    }
    /// dx = gradient of x + residual (null: nothing; it may be dx). Where x is doubled, of the fine x.
    void backward_input(Backend& device, T const* weights, index_t n, T const* dy, T const* residual, T* dx) const {
        way_.input_gradient(device, n, dy, weights + weight_, residual, dx);
    }
    void backward_weight(Backend& device, T* gradients, index_t n, T const* x, T const* dy) const {
        way_.weight_gradient(device, n, x, dy, gradients + weight_);
    }
    void backward_bias(Backend& device, T* gradients, index_t n, T const* dy) const {
        device.template reduce_columns<T>(n * at_.out_pixels(), at_.out, functor::element<T>{dy, at_.out},
                                          functor::add_to<T>{gradients + bias_});
    }
    /// The gradient of the bias from sums over the pixels of each image, [n, out], which something else needed too.
    void backward_bias_of_sums(Backend& device, T* gradients, index_t n, T const* sums, index_t stride) const {
        device.template reduce_columns<T>(n, at_.out, functor::element<T>{sums, stride}, functor::add_to<T>{gradients + bias_});
    }

private:
    void convolve(Backend& device, T const* weights, T const* prepared, index_t n, T const* x, added<T> const& more, T* y) const {
        if (prepared) return way_.forward(device, n, x, weights + weight_, prepared + prepared_, more, y);
        auto const memory = device.scratch();
        T* const own = memory->template take<T>(way_.prepared_size());
        way_.prepare(device, weights + weight_, own);
        way_.forward(device, n, x, weights + weight_, own, more, y);
    }

    convolution_shape at_{};
    convolution_on<T, Backend> way_;
    index_t weight_ = 0, bias_ = 0, prepared_ = 0;
};

}  // namespace onestep::layer
