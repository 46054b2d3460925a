#pragma once
/// A small convolutional classifier: what it makes of an image before its last layer are the features in which samples are compared.
#include <onestep/backend/arena.hpp>
#include <onestep/network/layer/convolution.hpp>
#include <onestep/network/layer/silu.hpp>
#include <onestep/train/batches.hpp>
#include <onestep/train/optimizer.hpp>
#include <onestep/train/rate.hpp>

#include <array>

#include "../digits/classifier.hpp"

namespace images {

namespace functor {
/// mean(i) = share sum.
struct store_mean {
    float* mean;
    float share;
    ONESTEP_HD void operator()(onestep::index_t i, float sum) const { mean[i] = share * sum; }
};
/// dv(pixel, c) = share dmean(image, c).
struct spread_mean {
    float const* dmean;
    float* dv;
    float share;
    onestep::index_t pixels, channels;
    ONESTEP_HD void operator()(onestep::index_t r, onestep::index_t c) const {
        dv[r * channels + c] = share * dmean[r / pixels * channels + c];
    }
};
}  // namespace functor

/// x [n, h, w, c] -> scores [n, classes]: three 3x3 convolutions of stride 2 with 32, 64 and 128 channels, each with a SiLU; the means of
/// the last over its pixels are the features [n, 128]; a linear layer. Trained by onestep's optimizer, as a network is.
template <onestep::backend Backend> class image_classifier {
    using index_t = onestep::index_t;

public:
    using input = onestep::view<float const, Backend>;
    using output = onestep::view<float, Backend>;
    static constexpr index_t features = 128;

    /// `extents`: of one image.
    image_classifier(Backend& device, onestep::shape const& extents, index_t classes, std::uint64_t seed)
        : device_(&device), memory_(device) {
        index_t height = extents[0], width = extents[1], channels = extents[2], prepared = 0;
        for (std::size_t k = 0; k < layers; ++k) {
            index_t const out = features >> (layers - 1 - k);
            onestep::convolution_shape const at{height, width, channels, out, 3, 2, false};
            convolutions_[k] = {list_, "conv." + std::to_string(k), at, onestep::accuracy::fast, 1.4, prepared};
            height = at.out_height(), width = at.out_width(), channels = out;
        }
        last_ = {list_, "last", features, classes};
        parameters_ = onestep::tensor<float, Backend>(device, {list_.size()});
        gradients_ = onestep::tensor<float, Backend>(device, {list_.size()});
        prepared_ = onestep::tensor<float, Backend>(device, {prepared});
        list_.initialise(parameters_.view(), seed);
        onestep::fill(gradients_.view(), 0);
    }

    output parameters() { return parameters_.view(); }
    output gradients() { return gradients_.view(); }
    onestep::parameter_list const& names() const { return list_; }
    index_t classes() const { return last_.out(); }

    /// Scores and, where they are asked for, features. Keeps what backward needs; x must stay unchanged until then.
    void forward(input x, output scores, float* features_out = nullptr) {
        memory_.reset();
        x_ = x.data(), n_ = x.rows();
        float const* from = x_;
        for (std::size_t k = 0; k < layers; ++k) {
            auto const& convolution = convolutions_[k];
            index_t const size = n_ * convolution.y_size();
            z_[k] = memory_.template take<float>(size), v_[k] = memory_.template take<float>(size);
            convolution.prepare(*device_, parameters_.data(), prepared_.data());
            convolution.forward(*device_, parameters_.data(), prepared_.data(), n_, from, {}, z_[k]);
            silu_.forward(*device_, size, z_[k], v_[k]);
            from = v_[k];
        }
        means_ = memory_.template take<float>(n_ * features);
        device_->template reduce_segments<float>(n_, pixels(), features, onestep::layer::functor::element<float>{from, features},
                                                 functor::store_mean{means_, share()});
        last_.forward(*device_, parameters_.data(), n_, means_, scores.data());
        if (features_out) device_->copy(means_, n_ * features, features_out);
    }
    /// Adds dL/dparameters of the last forward to gradients().
    void backward(input dscores) {
        float const* const weights = parameters_.data();
        float* const gradients = gradients_.data();
        float* const dmeans = memory_.template take<float>(n_ * features);
        last_.backward(*device_, weights, gradients, n_, means_, dscores.data(), dmeans);
        float* dv = memory_.template take<float>(n_ * pixels() * features);
        device_->for_each_pair(n_ * pixels(), features, functor::spread_mean{dmeans, dv, share(), pixels(), features});
        for (std::size_t k = layers; k-- > 0;) {
            auto const& convolution = convolutions_[k];
            silu_.backward(*device_, n_ * convolution.y_size(), z_[k], dv, dv);
            convolution.backward_weight(*device_, gradients, n_, k > 0 ? v_[k - 1] : x_, dv);
            convolution.backward_bias(*device_, gradients, n_, dv);
            if (k == 0) return;
            float* const dx = memory_.template take<float>(n_ * convolutions_[k - 1].y_size());
            convolution.backward_input(*device_, weights, n_, dv, nullptr, dx);
            dv = dx;
        }
    }

private:
    static constexpr std::size_t layers = 3;
    index_t pixels() const { return convolutions_[layers - 1].at().out_pixels(); }
    float share() const { return 1 / static_cast<float>(pixels()); }

    Backend* device_;
    onestep::arena<Backend> memory_;
    onestep::parameter_list list_;
    std::array<onestep::layer::convolution<float, Backend>, layers> convolutions_;
    onestep::layer::linear<float, Backend> last_;
    onestep::layer::silu<float, Backend> silu_;
    onestep::tensor<float, Backend> parameters_, gradients_, prepared_;
    float const* x_ = nullptr;
    index_t n_ = 0;
    std::array<float*, layers> z_ = {}, v_ = {};
    float* means_ = nullptr;
};

/// Ten epochs of Adam, or 3,000 steps where that is less, in batches of 64.
template <onestep::backend Backend> void train_classifier(image_classifier<Backend>& net, onestep::batch<float, Backend> const& data) {
    using onestep::index_t;
    Backend& device = data.x0.backend();
    index_t const rows = std::min<index_t>(64, data.x0.rows()), classes = net.classes();
    index_t const steps = std::min<index_t>(3000, 10 * data.x0.rows() / rows);
    onestep::optimizer adam(onestep::adam{.rate = 2e-3}, net);
    onestep::cosine_rate const rate{.steps = steps};
    onestep::batch_source<float, Backend> source(data, rows, 1);
    onestep::tensor<float, Backend> scores(device, {rows, classes}), gradient(device, {rows, classes});
    for (index_t step = 0; step < steps; ++step) {
        auto const batch = source.at(step);
        net.forward(batch.x0, scores);
        device.for_each_index(rows, cross_entropy_gradient{scores.data(), batch.labels.data(), gradient.data(), rows, classes});
        net.backward(gradient);
        adam.step(rate.factor(step));
    }
}

}  // namespace images
