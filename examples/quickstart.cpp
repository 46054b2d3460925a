// Ten lines from data to one-step samples: two half moons in the plane.
// quick: quick
#include <onestep/io/image.hpp>
#include <onestep/onestep.hpp>

#include "toys/moons.hpp"

namespace os = onestep;

int main(int argc, char**) {
    os::cpu device;
    os::index_t const steps = argc > 1 ? 40 : 4000;  // any argument: a run of a second
    auto data = half_moons(device, 20'000);
    // [readme]
    os::mlp net{device, {.data = {2}, .width = 128}};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};
    os::trainer first{flow, os::flow_matching{}, os::adam{.rate = 1e-3}, {.batch = 256, .progress = "flow"}};
    first.run(data, steps);  // 1. a rectified flow

    auto z = os::normal<float>(device, {20'000, 2}, /*seed*/ 2);
    auto pairs = os::reflow_pairs(first.averaged(), os::heun{.steps = 20}, z);  // 2. noise, and where the flow takes it
    os::trainer last{flow, os::one_step_distillation{}, os::adam{.rate = 1e-3}, {.batch = 256, .progress = "one step"}};
    last.run(pairs, steps);  // 3. straight there
    auto x = os::sample(last.averaged(), os::euler{.steps = 1}, os::normal<float>(device, {20'000, 2}, /*seed*/ 3));
    // [readme]
    std::printf("energy distance to the data: %.4f in one step\n",
                static_cast<double>(os::energy_distance(x.view().rows(0, 2000), data.view().rows(0, 2000))));
    draw_points("quickstart.png", {{"data", data.to_host()}, {"noise", z.to_host()}, {"one step", x.to_host()}});
}
