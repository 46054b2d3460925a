#pragma once
/// A small classifier, to tell whether a generated digit reads as the label that was asked for.
#include <onestep/onestep.hpp>

/// x [n, ...] -> scores [n, classes]: two layers with a SiLU between. Forward and backward are called as a network's are,
/// so onestep's optimizer trains it; the time is ignored.
template <onestep::backend Backend> class classifier {
public:
    using input = onestep::view<float const, Backend>;
    using output = onestep::view<float, Backend>;
    using index_t = onestep::index_t;

    classifier(Backend& device, index_t inputs, index_t width, index_t classes, std::uint64_t seed)
        : device_(&device), memory_(device), first_(list_, "first", inputs, width), second_(list_, "second", width, classes),
          parameters_(device, {list_.size()}), gradients_(device, {list_.size()}) {
        list_.initialise(parameters_.view(), seed);
        device.for_each_index(list_.size(), clear{gradients_.data()});
    }

    output parameters() { return parameters_.view(); }
    output gradients() { return gradients_.view(); }
    index_t classes() const { return second_.out(); }

    void operator()(input x, input, output scores) { forward(x, {}, scores); }
    void forward(input x, input, output scores) {
        memory_.reset();
        x_ = x, n_ = x.rows();
        z_ = memory_.template take<float>(n_ * first_.out());
        v_ = memory_.template take<float>(n_ * first_.out());
        first_.forward(*device_, parameters_.data(), n_, x.data(), z_);
        silu_.forward(*device_, n_ * first_.out(), z_, v_);
        second_.forward(*device_, parameters_.data(), n_, v_, scores.data());
    }
    void backward(input dscores) {
        float* const dv = memory_.template take<float>(n_ * first_.out());
        second_.backward(*device_, parameters_.data(), gradients_.data(), n_, v_, dscores.data(), dv);
        silu_.backward(*device_, n_ * first_.out(), z_, dv, dv);
        first_.backward(*device_, parameters_.data(), gradients_.data(), n_, x_.data(), dv, nullptr);
    }

private:
    struct clear {
        float* x;
        ONESTEP_HD void operator()(index_t i) const { x[i] = 0; }
    };
    Backend* device_;
    onestep::arena<Backend> memory_;
    onestep::parameter_list list_;
    onestep::layer::linear<float, Backend> first_, second_;
    onestep::layer::silu<float, Backend> silu_;
    onestep::tensor<float, Backend> parameters_, gradients_;
    input x_;
    index_t n_ = 0;
    float *z_ = nullptr, *v_ = nullptr;
};

/// dL/dscores of the mean cross-entropy: softmax(scores) - one_hot(label), over n. One row a call.
struct cross_entropy_gradient {
    float const* scores;
    std::int32_t const* labels;
    float* gradient;
    onestep::index_t rows, classes;
    ONESTEP_HD void operator()(onestep::index_t r) const {
        float const* const s = scores + r * classes;
        float largest = s[0], sum = 0;
        for (onestep::index_t c = 1; c < classes; ++c) largest = s[c] > largest ? s[c] : largest;
        for (onestep::index_t c = 0; c < classes; ++c) sum += onestep::math::exp(s[c] - largest);
        for (onestep::index_t c = 0; c < classes; ++c)
            gradient[r * classes + c] =
                (onestep::math::exp(s[c] - largest) / sum - (c == labels[r] ? 1.0f : 0.0f)) / static_cast<float>(rows);
    }
};

/// Trains on labelled images with a little noise on each, so that it does not lean on single pixels.
template <onestep::backend Backend>
classifier<Backend> train_classifier(onestep::batch<float, Backend> const& data, onestep::index_t classes, std::uint64_t seed,
                                     onestep::index_t steps = 1500) {
    using onestep::index_t;
    Backend& device = data.x0.backend();
    constexpr index_t rows = 128;
    classifier<Backend> net(device, data.x0.cols(), 128, classes, seed);
    onestep::optimizer adam(onestep::adam{.rate = 2e-3}, net);
    onestep::cosine_rate const rate{.steps = steps};
    onestep::batch_source<float, Backend> source(data, rows, seed);
    onestep::tensor<float, Backend> x(device, data.x0.shape().with_rows(rows)), scores(device, {rows, classes}),
        gradient(device, {rows, classes});
    for (index_t step = 0; step < steps; ++step) {
        auto const batch = source.at(step);
        onestep::affine_step<float, Backend> noisy(x.view());
        noisy.add(1, batch.x0).run(0.1, onestep::random_key{seed, static_cast<std::uint64_t>(step)}.at(onestep::draw::noise));
        net.forward(x, {}, scores);
        device.for_each_index(rows, cross_entropy_gradient{scores.data(), batch.labels.data(), gradient.data(), rows, classes});
        net.backward(gradient);
        adam.step(rate.factor(step));
    }
    return net;
}

/// Share of rows whose highest score is that of their label.
template <onestep::backend Backend> double accuracy(classifier<Backend>& net, onestep::batch<float, Backend> const& data) {
    using onestep::index_t;
    index_t const n = data.x0.rows(), classes = net.classes();
    onestep::tensor<float, Backend> scores(data.x0.backend(), {n, classes});
    net.forward(data.x0, {}, scores);
    auto const values = scores.to_host();
    auto const labels = to_host(data.labels);
    index_t right = 0;
    for (index_t r = 0; r < n; ++r) {
        index_t best = 0;
        for (index_t c = 1; c < classes; ++c)
            if (values[static_cast<std::size_t>(r * classes + c)] > values[static_cast<std::size_t>(r * classes + best)]) best = c;
        right += best == labels[static_cast<std::size_t>(r)];
    }
    return static_cast<double>(right) / static_cast<double>(n);
}
