// Rectified flow, reflow, one step, on any IDX file of images: reflow digits.idx [steps]
#include <onestep/io/idx.hpp>
#include <onestep/io/image.hpp>
#include <onestep/onestep.hpp>

namespace os = onestep;

int main(int argc, char** argv) try {
    if (argc < 2) {
        std::fprintf(stderr, "usage: reflow IMAGES.idx [STEPS]\n");
        return 2;
    }
    os::index_t const steps = argc > 2 ? std::atol(argv[2]) : 20'000;
    os::cpu cpu;
    auto images = os::read_idx<float>(cpu, argv[1]);  // [n, h, w, c] in [-1, 1]
    auto const& s = images.shape();
    os::mlp net{cpu, {.data = {s[1], s[2], s[3]}, .width = 256, .seed = 1}};
    os::model flow{net, os::rectified_flow{}, os::velocity{}};

    // 1. Rectified flow: data and noise meet at random.
    os::trainer first{flow, os::flow_matching{}, os::adam{.rate = 1e-3}, {.batch = 128, .ema = 0.999, .progress = "flow"}};
    first.run(images, steps);

    // 2. Reflow: the same objective, on the pairs that the flow itself has made.
    auto z = os::normal<float>(cpu, s.with_rows(20'000), 2);
    auto pairs = os::reflow_pairs(first.averaged(), os::heun{.steps = 20}, z);
    os::trainer second{flow, os::flow_matching{}, os::adam{.rate = 5e-4}, {.progress = "reflow"}};
    second.run(pairs, steps / 2);

    // 3. One step: the network learns where each straight path ends.
    os::trainer last{flow, os::one_step_distillation{}, os::adam{.rate = 5e-4}, {.progress = "one step"}};
    last.run(pairs, steps / 2);

    auto x = os::sample(last.averaged(), os::euler{.steps = 1}, os::normal<float>(cpu, s.with_rows(64), 3));
    os::write_png("one-step.png", x, {.scale = 4});
} catch (os::error const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
}
