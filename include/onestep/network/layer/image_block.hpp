#pragma once
#include <optional>

#include "convolution.hpp"
#include "dropout.hpp"
#include "group_norm.hpp"
#include "pass.hpp"
#include "projection.hpp"

namespace onestep::layer {

/// How the blocks of one network are built.
struct image_block_options {
    index_t groups = 32;  ///< of each normalisation, at most; the largest divisor of its channels up to this is taken
    bool scaled = false;  ///< the condition scales and shifts the second normalisation, instead of being added before it
    double dropout = 0;   ///< probability, in [0, 1)
    accuracy how = accuracy::fast;
};

namespace functor {
/// total(row) = sum.
template <class T> struct store_sum {
    T* total;
    index_t columns, stride;
    ONESTEP_HD void operator()(index_t k, T sum) const { total[k / columns * stride + k % columns] = sum; }
};
}  // namespace functor

/// The residual block of image networks, with a condition for each image:
///
///     h = conv1(silu(norm1(x))) + c                       y = skip(x) + conv2(dropout(silu(norm2(h))))
///     or, scaled:  (s, b) = c,  silu(norm2(h) (1 + s) + b)
///
/// x [n, height, width, in] may be two tensors side by side, and need not be concatenated for it; y has `out` channels; c [n, out] or
/// [n, 2 out]; skip is a 1x1 convolution where x is two tensors or in != out, and nothing otherwise. conv2 starts at zero, so that a new
/// block passes x on. Of a forward pass only x, h and the statistics are kept: the activations are made again by the backward pass, in
/// passes over memory that it makes anyway. Source: Ho, Jain, Abbeel 2020 (arXiv:2006.11239); scaled: Dhariwal, Nichol 2021
/// (arXiv:2105.05233).
template <class T, backend Backend> class image_block {
    using pass_type = pass<T, Backend>;
    using piece = typename pass_type::piece;

public:
    /// What a forward pass leaves for the backward pass, besides x.
    struct tape {
        piece statistics, h, h_statistics;
    };

    /// `in` is the sum of both tensors' channels. `prepared`: see convolution. `index` numbers the blocks of a network, for dropout.
    image_block(parameter_list& list, std::string const& name, index_t height, index_t width, index_t in, index_t out, bool joins,
                image_block_options const& options, index_t index, index_t& prepared)
        : in_(in), out_(out), pixels_(height * width), scaled_(options.scaled), index_(index),
          norm1_(list, name + ".norm1", in, group_count(in, options.groups)),
          conv1_(list, name + ".conv1", {height, width, in, out}, options.how, 1, prepared),
          norm2_(list, name + ".norm2", out, group_count(out, options.groups)), dropout_(options.dropout),
          conv2_(list, name + ".conv2", {height, width, out, out}, options.how, 0, prepared) {
        if (joins || in != out) skip_.emplace(list, name + ".skip", in, out);
    }

    index_t condition_size() const { return scaled_ ? 2 * out_ : out_; }
    index_t y_size() const { return pixels_ * out_; }
    void prepare(Backend& device, T const* weights, T* prepared) const {
        conv1_.prepare(device, weights, prepared);
        conv2_.prepare(device, weights, prepared);
    }

    /// Rows of the condition and of its tangent lie `stride` apart.
    void forward(pass_type const& of, joined<T const> const& x, joined<T const> const& vx, carried<T const> const& condition,
                 index_t stride, tape& kept, carried<T> const& y) const {
        piece vh;
        {
            piece const u = of.take(of.n * pixels_ * in_), vu = tangent_room(of, in_);
            kept.statistics = of.take(norm1_.statistics_size(of.n));
            normalise(of, norm1_, x, vx, {}, {}, kept.statistics, {u.data(), vu.data()});
            kept.h = of.take(of.n * y_size());
            T const *const c = scaled_ ? nullptr : condition.x, *const vc = scaled_ ? nullptr : condition.v;
            conv1_.forward(of.device, of.weights, of.prepared, of.n, u.data(), {nullptr, c, stride, nullptr}, kept.h.data());
            if (of.tangents > 0) {
                vh = tangent_room(of, out_);
                conv1_.tangent(of.device, of.weights, of.prepared, of.tangents, vu.data(), {nullptr, vc, stride, nullptr}, vh.data());
            }
        }
        piece const u = of.take(of.n * y_size()), vu = tangent_room(of, out_);
        kept.h_statistics = of.take(norm2_.statistics_size(of.n));
        normalise(of, norm2_, {kept.h.data(), out_}, {vh.data(), out_}, {scaled_ ? condition.x : nullptr, stride},
                  {scaled_ ? condition.v : nullptr, stride}, kept.h_statistics, {u.data(), vu.data()});
        drop(of, of.n, u.data());
        T const* residual = x.a;
        T const* vresidual = vx.a;
        if (skip_) {
            skip_->forward(of.device, of.weights, of.n * pixels_, x, y.x);
            residual = y.x;
        }
        conv2_.forward(of.device, of.weights, of.prepared, of.n, u.data(), {nullptr, nullptr, 0, residual}, y.x);
        if (of.tangents == 0) return;
        drop(of, of.tangents, vu.data());
        if (skip_) {
            skip_->tangent(of.device, of.weights, of.tangents * pixels_, vx, y.v);
            vresidual = y.v;
        }
        conv2_.tangent(of.device, of.weights, of.prepared, of.tangents, vu.data(), {nullptr, nullptr, 0, vresidual}, y.v);
    }

    /// From dy, which is used up, to dx (joined like x) and dcondition. `add`: dx += ...; otherwise, where the block has no skip of its
    /// own, dx must be dy. Gradients of parameters add.
    void backward(pass_type const& of, T* gradients, joined<T const> const& x, T const* condition, index_t stride, tape& kept, T* dy,
                  joined<T> const& dx, bool add, T* dcondition) const {
        piece const dh = of.take(of.n * y_size());
        {
            piece const u = of.take(of.n * y_size());
            conv2_.backward_input(of.device, of.weights, of.n, dy, nullptr, dh.data());
            drop(of, of.n, dh.data());
            auto const memory = of.device.scratch();
            norm2_.backward(of.device, *memory, of.weights, gradients, of.n, pixels_, {kept.h.data(), out_},
                            {scaled_ ? condition : nullptr, stride}, kept.h_statistics.data(), dh.data(), u.data(), {dh.data(), out_},
                            {scaled_ ? dcondition : nullptr, stride}, false);
            drop(of, of.n, u.data());
            conv2_.backward_weight(of.device, gradients, of.n, u.data(), dy);
            conv2_.backward_bias(of.device, gradients, of.n, dy);
        }
        kept.h = {};
        {
            auto const memory = of.device.scratch();
            T* const sums = scaled_ ? memory->template take<T>(of.n * out_) : dcondition;
            index_t const apart = scaled_ ? out_ : stride;
            of.device.template reduce_segments<T>(of.n, pixels_, out_, functor::element<T>{dh.data(), out_},
                                                  functor::store_sum<T>{sums, out_, apart});
            conv1_.backward_bias_of_sums(of.device, gradients, of.n, sums, apart);
        }
        piece const du = of.take(of.n * pixels_ * in_), u = of.take(of.n * pixels_ * in_);
        conv1_.backward_input(of.device, of.weights, of.n, dh.data(), nullptr, du.data());
        if (skip_) skip_->backward(of.device, of.weights, gradients, of.n * pixels_, x, dy, dx, add);
        else if (dx.a != dy) of.device.for_each_index(of.n * y_size(), functor::add_vector<T>{dx.a, dy});
        auto const memory = of.device.scratch();
        norm1_.backward(of.device, *memory, of.weights, gradients, of.n, pixels_, x, {}, kept.statistics.data(), du.data(), u.data(), dx,
                        {}, true);
        conv1_.backward_weight(of.device, gradients, of.n, u.data(), dh.data());
    }

private:
    piece tangent_room(pass_type const& of, index_t channels) const {
        return of.tangents > 0 ? of.take(of.tangents * pixels_ * channels) : piece();
    }
    void normalise(pass_type const& of, group_norm<T, Backend> const& norm, joined<T const> const& x, joined<T const> const& vx,
                   scale_shift<T const> const& condition, scale_shift<T const> const& vcondition, piece const& statistics,
                   carried<T> const& u) const {
        auto const memory = of.device.scratch();
        norm.forward(of.device, *memory, of.weights, of.n, pixels_, x, condition, statistics.data(), u.x);
        if (of.tangents > 0)
            norm.tangent(of.device, *memory, of.weights, of.tangents, pixels_, x, condition, statistics.data(), vx, vcondition, u.v);
    }
    void drop(pass_type const& of, index_t n, T* x) const {
        if (of.dropped) dropout_.apply(of.device, of.dropped->at(draw::dropout, static_cast<std::uint64_t>(index_)), n, y_size(), x);
    }

    index_t in_, out_, pixels_;
    bool scaled_;
    index_t index_;
    group_norm<T, Backend> norm1_;
    convolution<T, Backend> conv1_;
    group_norm<T, Backend> norm2_;
    dropout<T, Backend> dropout_;
    convolution<T, Backend> conv2_;
    std::optional<projection<T, Backend>> skip_;
};

}  // namespace onestep::layer
