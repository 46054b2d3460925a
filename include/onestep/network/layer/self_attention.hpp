#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "../../backend/concept.hpp"
#include "../../core/error.hpp"
#include "../../core/math.hpp"

namespace onestep::layer {

namespace functor {
/// The largest of several numbers, by `+=`.
template <class T> struct largest_score {
    static constexpr T none = -std::numeric_limits<T>::infinity();
    T value = none;
    ONESTEP_HD_INLINE largest_score& operator+=(largest_score const& other) {
        value = other.value > value ? other.value : value;
        return *this;
    }
};
template <class T> struct score_term {
    T const* scores;
    index_t cols;
    ONESTEP_HD largest_score<T> operator()(index_t r, index_t c) const { return {scores[r * cols + c]}; }
};
template <class T> struct store_largest_score {
    T* row;
    ONESTEP_HD void operator()(index_t r, largest_score<T> const& found) const { row[r] = found.value; }
};
/// Scores become exp(score - the row's largest), which is also the term.
template <class T> struct exponential_score {
    T* scores;
    T const* largest;
    index_t cols;
    ONESTEP_HD T operator()(index_t r, index_t c) const {
        T const e = math::exp(scores[r * cols + c] - largest[r]);
        scores[r * cols + c] = e;
        return e;
    }
};
template <class T> struct store_inverse_sum {
    T* row;
    ONESTEP_HD void operator()(index_t r, T sum) const { row[r] = math::divide(T(1), sum); }
};
template <class T> struct weighted_score {
    T const *a, *b;
    index_t cols;
    ONESTEP_HD T operator()(index_t r, index_t c) const { return a[r * cols + c] * b[r * cols + c]; }
};
/// row(r) = factor(r) sum.
template <class T> struct store_weighted_mean {
    T const* factor;
    T* row;
    ONESTEP_HD void operator()(index_t r, T sum) const { row[r] = factor[r] * sum; }
};
/// y(r, c) *= factor(r).
template <class T> struct scale_token {
    T const* factor;
    T* y;
    index_t stride;
    ONESTEP_HD void operator()(index_t r, index_t c) const { y[r * stride + c] *= factor[r]; }
};
/// A derivative through the softmax: v becomes e (v - mean), where `mean` is the row's mean of v under its probabilities.
template <class T> struct softmax_slope {
    T const *e, *mean;
    T* v;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        v[i] = e[i] * (v[i] - mean[r]);
    }
};
/// The same where e becomes the probabilities factor e as well.
template <class T> struct softmax_backward {
    T const *factor, *mean;
    T *e, *v;
    index_t cols;
    ONESTEP_HD void operator()(index_t r, index_t c) const {
        index_t const i = r * cols + c;
        T const p = e[i] * factor[r];
        e[i] = p;
        v[i] = p * (v[i] - mean[r]);
    }
};
}  // namespace functor

/// Every token looks at all tokens of its image, with several heads: for each image and head, d = channels / heads,
///
///     o = P v,   P = softmax(q k^T / sqrt(d)) over each row       qkv [n, tokens, 3 channels] = [q | k | v], o [n, tokens, channels],
///                                                                 each of q, k, v, o being [heads, d] in a token
///
/// No parameters: the projections around it are layers of the network. Nothing but qkv is kept for a backward pass, which makes P
/// again. Scores as large as the type holds do no harm. Source: Vaswani et al. 2017 (arXiv:1706.03762), equation 1.
///
/// `memory.take<T>(count)` lends memory, like an arena: tokens^2 scores of one head for as many images as there are at most
/// `scores_at_once` of, and at least one image; twice as many for jvp and backward; and up to three numbers for each of their rows. It is
/// not given back. Cost: 2 products of tokens^2 d multiplications a head forward, 5 for jvp, 5 for backward, and some passes over scores
/// in the cache.
template <class T, backend Backend> class self_attention {
public:
    /// Throws domain_error unless heads >= 1 divides channels >= 1.
    self_attention(index_t channels, index_t heads) : channels_(channels), heads_(heads) {
        if (heads < 1 || channels < 1 || channels % heads != 0)
            raise<domain_error>("self_attention", std::to_string(heads) + " heads share " + std::to_string(channels) + " channels",
                                "heads must be at least 1 and divide the channels");
        scale_ = static_cast<T>(1 / std::sqrt(static_cast<double>(width())));
    }

    index_t channels() const { return channels_; }
    index_t heads() const { return heads_; }

    /// o from qkv.
    template <class Memory> void forward(Backend& device, Memory& memory, index_t n, index_t tokens, T const* qkv, T* o) const {
        for_each_head(memory, n, tokens, 1, [&](part const& x) {
            weigh(device, x, qkv);
            average(device, x, x.first_scores, value(qkv, x), T(0), out(o, x));
            device.for_each_pair(x.rows(), width(), functor::scale_token<T>{x.inverse, out(o, x), channels_});
        });
    }

    /// vo, the change of o when qkv changes by vqkv: exact, also through the softmax.
    ///     vS = (vq k^T + q vk^T) / sqrt(d),   vo = P (vS - sum of P vS over the row) v + P vv
    template <class Memory> void jvp(Backend& device, Memory& memory, index_t n, index_t tokens, T const* qkv, T const* vqkv, T* vo) const {
        for_each_head(memory, n, tokens, 2, [&](part const& x) {
            weigh(device, x, qkv);
            compare(device, x, scale_, query(vqkv, x), 3 * channels_, key(qkv, x), T(0), x.second_scores);
            compare(device, x, scale_, query(qkv, x), 3 * channels_, key(vqkv, x), T(1), x.second_scores);
            mean(device, x);
            device.for_each_pair(x.rows(), x.tokens, functor::softmax_slope<T>{x.first_scores, x.mean, x.second_scores, x.tokens});
            average(device, x, x.second_scores, value(qkv, x), T(0), out(vo, x));
            average(device, x, x.first_scores, value(vqkv, x), T(1), out(vo, x));
            device.for_each_pair(x.rows(), width(), functor::scale_token<T>{x.inverse, out(vo, x), channels_});
        });
    }

    /// dqkv from d_o; overwrites dqkv.
    ///     dv = P^T do,   dP = do v^T,   dS = P (dP - sum of P dP over the row),   dq = dS k / sqrt(d),   dk = dS^T q / sqrt(d)
    template <class Memory>
    void backward(Backend& device, Memory& memory, index_t n, index_t tokens, T const* qkv, T const* d_o, T* dqkv) const {
        for_each_head(memory, n, tokens, 2, [&](part const& x) {
            weigh(device, x, qkv);
            compare(device, x, T(1), out(d_o, x), channels_, value(qkv, x), T(0), x.second_scores);
            mean(device, x);
            device.for_each_pair(x.rows(), x.tokens,
                                 functor::softmax_backward<T>{x.inverse, x.mean, x.first_scores, x.second_scores, x.tokens});
            spread(device, x, op::transposed, T(1), x.first_scores, out(d_o, x), channels_, value(dqkv, x));
            spread(device, x, op::plain, scale_, x.second_scores, key(qkv, x), 3 * channels_, query(dqkv, x));
            spread(device, x, op::transposed, scale_, x.second_scores, query(qkv, x), 3 * channels_, key(dqkv, x));
        });
    }

private:
    /// So many scores stay in the cache of a processor; a device, whose work items take a quad each, wants more work at once.
    static constexpr index_t scores_at_once = index_t{1} << (Backend::quads_per_item > 1 ? 18 : 24);

    /// One head of some images, and the memory for it.
    struct part {
        index_t first, images, tokens, head;
        T *first_scores, *second_scores;  // [images, tokens, tokens]
        T *largest, *inverse, *mean;      // [images, tokens]
        index_t rows() const { return images * tokens; }
        index_t squares() const { return tokens * tokens; }
    };

    index_t width() const { return channels_ / heads_; }
    template <class U> U* query(U* qkv, part const& x) const { return qkv + x.first * x.tokens * 3 * channels_ + x.head * width(); }
    template <class U> U* key(U* qkv, part const& x) const { return query(qkv, x) + channels_; }
    template <class U> U* value(U* qkv, part const& x) const { return query(qkv, x) + 2 * channels_; }
    template <class U> U* out(U* o, part const& x) const { return o + x.first * x.tokens * channels_ + x.head * width(); }

    template <class Memory, class Body> void for_each_head(Memory& memory, index_t n, index_t tokens, int scores, Body const& body) const {
        if (n <= 0 || tokens <= 0) return;
        index_t const most = std::clamp<index_t>(scores_at_once / (tokens * tokens), 1, n);
        part x{0, most, tokens, 0, nullptr, nullptr, nullptr, nullptr, nullptr};
        x.first_scores = memory.template take<T>(most * x.squares());
        if (scores > 1) x.second_scores = memory.template take<T>(most * x.squares());
        x.largest = memory.template take<T>(x.rows());
        x.inverse = memory.template take<T>(x.rows());
        if (scores > 1) x.mean = memory.template take<T>(x.rows());
        for (; x.first < n; x.first += most) {
            x.images = std::min(most, n - x.first);
            for (x.head = 0; x.head < heads_; ++x.head) body(x);
        }
    }

    /// first_scores = exp(S - largest of the row), inverse = 1 / its sum over the row: P = inverse first_scores.
    void weigh(Backend& device, part const& x, T const* qkv) const {
        compare(device, x, scale_, query(qkv, x), 3 * channels_, key(qkv, x), T(0), x.first_scores);
        device.template reduce_rows<functor::largest_score<T>>(x.rows(), x.tokens, functor::score_term<T>{x.first_scores, x.tokens},
                                                               functor::store_largest_score<T>{x.largest});
        device.template reduce_rows<T>(x.rows(), x.tokens, functor::exponential_score<T>{x.first_scores, x.largest, x.tokens},
                                       functor::store_inverse_sum<T>{x.inverse});
    }
    /// The mean of second_scores over each row, under the probabilities.
    void mean(Backend& device, part const& x) const {
        device.template reduce_rows<T>(x.rows(), x.tokens, functor::weighted_score<T>{x.first_scores, x.second_scores, x.tokens},
                                       functor::store_weighted_mean<T>{x.inverse, x.mean});
    }
    /// scores = alpha a b^T + beta scores; tokens of a lie a_stride apart, those of b as in qkv.
    void compare(Backend& device, part const& x, T alpha, T const* a, index_t a_stride, T const* b, T beta, T* scores) const {
        index_t const b_stride = 3 * channels_;
        device.gemm_batched(op::plain, op::transposed, x.images, x.tokens, x.tokens, width(), alpha, a, a_stride, x.tokens * a_stride, b,
                            b_stride, x.tokens * b_stride, beta, scores, x.tokens, x.squares());
    }
    /// y = weights v + beta y; tokens of v lie as in qkv, those of y as in o.
    void average(Backend& device, part const& x, T const* weights, T const* v, T beta, T* y) const {
        index_t const v_stride = 3 * channels_;
        device.gemm_batched(op::plain, op::plain, x.images, x.tokens, width(), x.tokens, T(1), weights, x.tokens, x.squares(), v, v_stride,
                            x.tokens * v_stride, beta, y, channels_, x.tokens * channels_);
    }
    /// y = alpha op(weights) a; tokens of a lie a_stride apart, those of y as in qkv.
    void spread(Backend& device, part const& x, op operation, T alpha, T const* weights, T const* a, index_t a_stride, T* y) const {
        index_t const y_stride = 3 * channels_;
        device.gemm_batched(operation, op::plain, x.images, x.tokens, width(), x.tokens, alpha, weights, x.tokens, x.squares(), a, a_stride,
                            x.tokens * a_stride, T(0), y, y_stride, x.tokens * y_stride);
    }

    index_t channels_, heads_;
    T scale_;
};

}  // namespace onestep::layer
