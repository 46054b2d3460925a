#pragma once
#include "../../backend/convolution.hpp"
#include "group_norm.hpp"
#include "linear.hpp"
#include "pass.hpp"
#include "self_attention.hpp"

namespace onestep::layer {

/// Attention between the pixels of an image, as a residual:
///
///     y = x + O a + b        a = softmax(q k' / sqrt(d)) v for each head        [q | k | v] = Q norm(x) + c
///
/// x, y [n, pixels, channels]; heads of d = channels / heads. O starts at zero, so that a new block passes x on. Of a forward pass x, [q |
/// k | v], a and the statistics are kept; norm(x) and the probabilities are made again. Source: Vaswani et al. 2017 (arXiv:1706.03762); in
/// image networks: Ho, Jain, Abbeel 2020 (arXiv:2006.11239).
template <class T, backend Backend> class attention_block {
    using pass_type = pass<T, Backend>;
    using piece = typename pass_type::piece;

public:
    struct tape {
        piece statistics, qkv, attended;
    };

    attention_block(parameter_list& list, std::string const& name, index_t pixels, index_t channels, index_t heads, index_t groups)
        : pixels_(pixels), channels_(channels), norm_(list, name + ".norm", channels, group_count(channels, groups), false),
          qkv_(list, name + ".qkv", channels, 3 * channels), attention_(channels, heads), out_(list, name + ".out", channels, channels, 0) {
    }

    index_t y_size() const { return pixels_ * channels_; }

    void forward(pass_type const& of, carried<T const> const& x, tape& kept, carried<T> const& y) const {
        index_t const rows = of.n * pixels_, vrows = of.tangents * pixels_;
        piece vqkv;
        auto const memory = of.device.scratch();
        {
            piece const z = of.take(rows * channels_), vz = of.tangents > 0 ? of.take(vrows * channels_) : piece();
            kept.statistics = of.take(norm_.statistics_size(of.n));
            norm_.forward(of.device, *memory, of.weights, of.n, pixels_, {x.x, channels_}, {}, kept.statistics.data(), z.data());
            kept.qkv = of.take(3 * rows * channels_);
            qkv_.forward(of.device, of.weights, rows, z.data(), kept.qkv.data());
            if (of.tangents > 0) {
                norm_.tangent(of.device, *memory, of.weights, of.tangents, pixels_, {x.x, channels_}, {}, kept.statistics.data(),
                              {x.v, channels_}, {}, vz.data());
                vqkv = of.take(3 * vrows * channels_);
                qkv_.multiply(of.device, of.weights, vrows, vz.data(), vqkv.data());
            }
        }
        kept.attended = of.take(rows * channels_);
        attention_.forward(of.device, *memory, of.n, pixels_, kept.qkv.data(), kept.attended.data());
        out_.multiply(of.device, of.weights, rows, kept.attended.data(), y.x);
        of.device.for_each_pair(rows, channels_,
                                onestep::functor::add_to_pixels<T>{{out_.bias(of.weights), nullptr, 0, x.x}, y.x, pixels_, channels_});
        if (of.tangents == 0) return;
        piece const vattended = of.take(vrows * channels_);
        attention_.jvp(of.device, *memory, of.tangents, pixels_, kept.qkv.data(), vqkv.data(), vattended.data());
        out_.multiply(of.device, of.weights, vrows, vattended.data(), y.v);
        of.device.for_each_index(vrows * channels_, functor::add_vector<T>{y.v, x.v});
    }

    /// dy becomes dx. Gradients of parameters add.
    void backward(pass_type const& of, T* gradients, T const* x, tape& kept, T* dy) const {
        index_t const rows = of.n * pixels_;
        auto const memory = of.device.scratch();
        piece const dz = of.take(rows * channels_);
        out_.backward(of.device, of.weights, gradients, rows, kept.attended.data(), dy, dz.data());
        kept.attended = {};
        piece const dqkv = of.take(3 * rows * channels_);
        attention_.backward(of.device, *memory, of.n, pixels_, kept.qkv.data(), dz.data(), dqkv.data());
        kept.qkv = {};
        qkv_.backward_input(of.device, of.weights, rows, dqkv.data(), dz.data());
        piece const z = of.take(rows * channels_);
        norm_.backward(of.device, *memory, of.weights, gradients, of.n, pixels_, {x, channels_}, {}, kept.statistics.data(), dz.data(),
                       z.data(), {dy, channels_}, {}, true);
        qkv_.backward_parameters(of.device, gradients, rows, z.data(), dqkv.data());
    }

private:
    index_t pixels_, channels_;
    group_norm<T, Backend> norm_;
    linear<T, Backend> qkv_;
    self_attention<T, Backend> attention_;
    linear<T, Backend> out_;
};

}  // namespace onestep::layer
