#include <doctest/doctest.h>
#include <onestep/backend/cpu.hpp>

#include "counting_allocator.hpp"
#include "network/unets.hpp"

// What a U-Net promises on the CPU alone.

namespace onestep::unet_threads_tests {
namespace {

using test::batch_of;
using test::disturb;
using test::variant;
using test::variants;

TEST_CASE("unet: the number of threads changes no bit of a training step") {
    for (variant const& each : variants()) {
        unet_options const& options = each.options;
        if (options.second_time) continue;
        CAPTURE(std::string(each.what));
        std::vector<std::vector<float>> expected;
        for (int threads : {1, 2, 5}) {
            cpu on(threads);
            unet<float, cpu> net(on, options);
            disturb(net);
            batch_of<float, cpu> b(on, 7, options.data);
            net.forward_jvp(b.x, b.v.view().rows(0, 4), b.t, b.vt.view().rows(0, 4), b.y, b.vy);
            net.backward(b.dy.view(), b.dx.view());
            std::vector<std::vector<float>> const bits = {b.y.to_host(), to_host(b.vy.view().rows(0, 4)), b.dx.to_host(),
                                                          to_host(net.gradients())};
            if (threads == 1) expected = bits;
            CHECK(bits == expected);
        }
    }
}

TEST_CASE("unet: warm passes allocate nothing") {
    cpu on(1);
    unet_options const options = variants()[0].options;
    unet<float, cpu> net(on, options);
    batch_of<float, cpu> b(on, 4, options.data);
    auto const step = [&] {
        net(b.x, b.t, b.y);
        net.forward_jvp(b.x, b.v.view().rows(0, 2), b.t, b.vt.view().rows(0, 2), b.y, b.vy);
        net.backward(b.dy.view(), b.dx.view());
        net.jvp(b.x, b.v, b.t, b.vt, b.y, b.vy);
        net.parameters();
    };
    step(), step(), step();
    std::size_t const before = test::allocations();
    step();
    CHECK(test::allocations() == before);
}

}  // namespace
}  // namespace onestep::unet_threads_tests
