// Your own network: a struct with forward, backward, parameters and gradients is all that training asks for.
// This one knows the shape of the answer for Gaussian data, u(x, t) = a(t) x with a(t) a cubic, and learns four numbers.
// quick: quick
#include <onestep/onestep.hpp>

namespace os = onestep;

class cubic {
public:
    using input = os::view<float const, os::cpu>;
    using output = os::view<float, os::cpu>;

    explicit cubic(os::cpu& device) : weights_(device, {4}, {0, 0, 0, 0}), gradients_(device, {4}, {0, 0, 0, 0}) {}

    output parameters() { return weights_.view(); }
    output gradients() { return gradients_.view(); }

    /// y = (w0 + w1 t + w2 t^2 + w3 t^3) x.
    void operator()(input x, input t, output y) const {
        for (os::index_t i = 0; i < x.size(); ++i) {
            float const time = t.data()[i / x.cols()];
            y.data()[i] = (((w(3) * time + w(2)) * time + w(1)) * time + w(0)) * x.data()[i];
        }
    }
    void forward(input x, input t, output y) {
        x_ = x, t_ = t;
        (*this)(x, t, y);
    }
    void backward(input dy) {
        for (os::index_t i = 0; i < dy.size(); ++i) {
            float power = dy.data()[i] * x_.data()[i];
            for (int k = 0; k < 4; ++k, power *= t_.data()[i / x_.cols()]) gradients_.data()[k] += power;
        }
    }

private:
    float w(int k) const { return weights_.data()[k]; }
    os::tensor<float, os::cpu> weights_, gradients_;
    input x_, t_;
};

int main(int argc, char**) {
    os::cpu device;
    cubic net(device);
    auto const checked = os::check_gradients(net, {.data = {1}});  // before you train: is your backward right?
    std::printf("%s\n", to_string(checked).c_str());

    auto data = os::normal<float>(device, {10'000, 1}, 1);
    for (os::index_t i = 0; i < data.size(); ++i) data.data()[i] *= 0.5f;
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    os::trainer trainer{flow, os::flow_matching{}, os::adam{.rate = 2e-2}, {.batch = 256, .ema = 0.99}};
    trainer.run(data, argc > 1 ? 200 : 3000);

    auto x = os::sample(trainer.averaged(), os::heun{.steps = 20}, os::normal<float>(device, {10'000, 1}, 2));
    double square = 0;
    for (float v : x.to_host()) square += static_cast<double>(v) * static_cast<double>(v);
    std::printf("deviation of the samples: %.3f (the data's is 0.5)\n", std::sqrt(square / 10'000));
    return checked.ok() ? 0 : 1;
}
