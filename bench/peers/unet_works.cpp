// The U-Net's works: training steps, evaluations, and what training takes of memory.
#include <cstdlib>

#include <onestep/onestep.hpp>

#include "work.hpp"

namespace os = onestep;
using os::index_t;

namespace {

constexpr index_t images = 4096;  // resident

os::unet_options of_28(bool second_time = false) {
    auto o = os::unet_options::mnist();
    o.second_time = second_time;
    if (second_time) o.time.scale = 10;  // as where derivatives in t are taken
    return o;
}
os::unet_options of_32() {
    auto o = os::unet_options::cifar();
    o.dropout = 0;
    o.time.size = 64, o.head_channels = 64;  // as the peer has them
    return o;
}

using network = os::unet<float, os::cpu>;

/// Everywhere other than zero, so that no layer has less to do than in training.
void stir(network& net) { os::fill_normal(net.parameters(), os::random_key{7}.at(os::draw::user), 0.05); }

os::shape batch_shape(os::unet_options const& o, index_t n) { return {n, o.data[0], o.data[1], o.data[2]}; }

/// A whole step: batch, gradient, Adam, moving average.
template <class Model, class Objective> class unet_training : public work {
public:
    unet_training(os::cpu& device, os::unet_options const& options, index_t batch)
        : data_(os::normal<float>(device, batch_shape(options, images), 1)), net_(device, options), model_(made(net_)),
          adam_(os::adam{.rate = 1e-4}, net_), ema_(os::average_options{.decay = 0.999, .ramp = false}, model_),
          source_({data_.view()}, batch, 1) {}
    void run() override {
        os::accumulate(objective_, model_, source_.at(step_), os::random_key{1, static_cast<std::uint64_t>(step_)});
        adam_.step(1, ema_);
        ++step_;
    }

private:
    static Model made(network& net) {
        if constexpr (requires { Model(net); }) return Model(net);
        else return Model(net, {}, {});
    }

    os::tensor<float, os::cpu> data_;
    network net_;
    Model model_;
    Objective objective_;
    os::optimizer<os::adam, network> adam_;
    os::average<Model> ema_;
    os::batch_source<float, os::cpu> source_;
    index_t step_ = 0;
};
using flow_training = unet_training<os::model<network&, os::rectified_flow, os::velocity>, os::flow_matching<>>;
using mean_flow_training = unet_training<os::flow_map_model<network&, os::rectified_flow, os::average_velocity>, os::mean_flow<>>;

class unet_forward : public work {
public:
    unet_forward(os::cpu& device, os::unet_options const& options, index_t n)
        : net_(device, options), x_(os::normal<float>(device, batch_shape(options, n), 1)), y_(device, x_.shape()),
          t_(device, {n}, std::vector<float>(static_cast<std::size_t>(n), 0.5f)) {
        stir(net_);
    }
    void run() override { net_(x_, t_, y_); }

private:
    network net_;
    os::tensor<float, os::cpu> x_, y_, t_;
};

/// MiB of this process: VmRSS now, VmHWM at most.
double resident(std::string const& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(key + ":")) return std::strtod(line.c_str() + key.size() + 1, nullptr) / 1024;
    throw std::runtime_error("/proc/self/status has no " + key);
}

}  // namespace

void add_unets(std::map<std::string, maker>& works) {
    works["unet_train_28_b64"] = [](os::cpu& device) { return std::make_unique<flow_training>(device, of_28(), 64); };
    works["unet_train_32_b16"] = [](os::cpu& device) { return std::make_unique<flow_training>(device, of_32(), 16); };
    works["unet_forward_28_b64"] = [](os::cpu& device) { return std::make_unique<unet_forward>(device, of_28(), 64); };
    works["unet_forward_28_b1"] = [](os::cpu& device) { return std::make_unique<unet_forward>(device, of_28(), 1); };
    works["unet_jvp_step"] = [](os::cpu& device) { return std::make_unique<mean_flow_training>(device, of_28(true), 64); };
}

double unet_training_mebibytes(int threads) {
    double const before = resident("VmRSS");
    os::cpu device(threads);
    flow_training training(device, of_28(), 64);
    for (int i = 0; i < 3; ++i) training.run();
    return resident("VmHWM") - before;
}
