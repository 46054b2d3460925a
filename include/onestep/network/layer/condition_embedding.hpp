#pragma once
#include "linear.hpp"
#include "one_hot.hpp"
#include "pass.hpp"
#include "silu.hpp"
#include "time_embedding.hpp"

namespace onestep::layer {

/// Where a network is asked: times [n] (s null for one time) and labels (null: none).
template <class T> struct condition_of {
    T const *t, *s;
    std::int32_t const* labels;
};

/// What a network knows of times and label, as one vector a sample:
///
///     e = silu(T2 silu(T1 features(t (, t - s)) + b1) + b2 + E one_hot(label))       e [n, size]
///
/// E has one column more than there are classes, for "no label". Labels have no tangent.
template <class T, backend Backend> class condition_embedding {
    using pass_type = pass<T, Backend>;
    using piece = typename pass_type::piece;

public:
    /// What a forward pass leaves: inputs of the three products, and the slopes of both activations.
    struct tape {
        piece features, first_slope, first, one_hot, slope, e;
    };

    condition_embedding(Backend& device, parameter_list& list, time_features const& time, bool second_time, index_t size, int classes,
                        std::uint64_t seed)
        : size_(size), columns_(classes > 0 ? classes + 1 : 0), time_(device, time, second_time, seed),
          first_(list, "time.first", time_.size(), size), second_(list, "time.second", size, size) {
        if (classes > 0) table_ = {list, "class", columns_, size, 0.02 * std::sqrt(static_cast<double>(columns_)), false};
    }

    index_t size() const { return size_; }

    void forward(pass_type const& of, condition_of<T> const& at, tape& kept) const {
        Backend& device = of.device;
        kept.features = of.take(of.n * time_.size());
        kept.first_slope = of.take(of.n * size_), kept.first = of.take(of.n * size_);
        kept.slope = of.take(of.n * size_), kept.e = of.take(of.n * size_);
        time_.forward(device, of.n, at.t, at.s, kept.features.data());
        first_.multiply(device, of.weights, of.n, kept.features.data(), kept.first_slope.data());
        activate(of, first_, kept.first_slope.data(), kept.first.data());
        second_.multiply(device, of.weights, of.n, kept.first.data(), kept.slope.data());
        if (columns_ > 0) {
            kept.one_hot = of.take(of.n * columns_);
            device.for_each_pair(of.n, columns_, functor::one_hot<T>{at.labels, kept.one_hot.data(), columns_});
            table_.multiply(device, of.weights, of.n, kept.one_hot.data(), kept.slope.data(), T(1));
        }
        activate(of, second_, kept.slope.data(), kept.e.data());
    }
    /// ve along vt and vs, each of which may be null (zero), for the first of.tangents rows.
    void tangent(pass_type const& of, condition_of<T> const& at, T const* vt, T const* vs, tape const& kept, T* ve) const {
        index_t const n = of.tangents;
        piece const features = of.take(n * time_.size()), first = of.take(n * size_);
        time_.tangent(of.device, n, at.t, vt, at.s, vs, features.data());
        first_.multiply(of.device, of.weights, n, features.data(), first.data());
        times_slope(of, n, kept.first_slope.data(), first.data());
        second_.multiply(of.device, of.weights, n, first.data(), ve);
        times_slope(of, n, kept.slope.data(), ve);
    }
    /// Adds the gradients of parameters; de = dL/de is used up.
    void backward(pass_type const& of, T* gradients, tape const& kept, T* de) const {
        times_slope(of, of.n, kept.slope.data(), de);
        if (columns_ > 0) table_.backward_parameters(of.device, gradients, of.n, kept.one_hot.data(), de);
        piece const dfirst = of.take(of.n * size_);
        second_.backward(of.device, of.weights, gradients, of.n, kept.first.data(), de, dfirst.data());
        times_slope(of, of.n, kept.first_slope.data(), dfirst.data());
        first_.backward_parameters(of.device, gradients, of.n, kept.features.data(), dfirst.data());
    }

private:
    /// z + bias goes through silu into v, and its slope over z.
    void activate(pass_type const& of, linear<T, Backend> const& layer, T* z, T* v) const {
        of.device.for_each_pair(
            of.n, size_,
            functor::bias_silu<T, false, false, functor::keep::slope>{layer.bias(of.weights), nullptr, z, v, nullptr, size_, 0, of.n});
    }
    void times_slope(pass_type const& of, index_t n, T const* slope, T* v) const {
        of.device.for_each_pair(n, size_, functor::slope_product<T>{slope, v, v, size_, size_});
    }

    index_t size_, columns_;
    time_embedding<T, Backend> time_;
    linear<T, Backend> first_, second_, table_;
};

}  // namespace onestep::layer
