// Your own training loop: the trainer is these lines, a learning-rate schedule and checkpoints.
// quick: quick
#include <onestep/onestep.hpp>

#include "toys/moons.hpp"

namespace os = onestep;

int main(int argc, char**) {
    os::cpu device;
    auto data = half_moons(device, 20'000);
    os::mlp net{device, {.data = {2}, .width = 64, .blocks = 2}};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};

    os::flow_matching objective{os::pseudo_huber{.c = 0.1}, os::logit_normal{}};  // distance between velocities; where to look
    os::optimizer adam{os::adam{.rate = 1e-3}, net};
    os::average ema{0.999, flow};
    for (auto [x0, key] : os::batches(data, {.size = 256, .steps = argc > 1 ? 100 : 4000, .seed = 1})) {
        double const loss = os::accumulate(objective, flow, x0, key);  // adds dL/dparameters to net.gradients()
        adam.step();                                                   // consumes them
        ema.update();
        if (key.step % 500 == 0) std::printf("step %5d  loss %.4f\n", static_cast<int>(key.step), loss);
    }

    auto z = os::normal<float>(device, {4000, 2}, 2);
    auto x = os::sample(ema.model(), os::rk4{.steps = 10}, z);
    std::printf("energy distance to the data: %.4f\n", static_cast<double>(os::energy_distance(x.view(), data.view().rows(0, 4000))));
    std::printf("straightness of the flow: %.4f\n", os::straightness(ema.model(), z).normalised);
}
