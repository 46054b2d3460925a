#include <doctest/doctest.h>
#include <onestep/backend/cpu.hpp>
#include <onestep/core/tensor.hpp>

#include "counting_allocator.hpp"
#include "network/values.hpp"

namespace onestep::host_convolution_tests {
namespace {

struct trained {
    cpu device;
    convolution_shape at;
    index_t n;
    convolution_on<float, cpu> layer;
    tensor<float, cpu> x, w, dy, prepared, y, dx, dw;

    trained(int threads, convolution_shape const& shape, index_t images, accuracy how)
        : device(threads), at(shape), n(images), layer(shape, how), x(device, {n, at.x_size()}, test::normals<float>(n * at.x_size(), 1)),
          w(device, {1, at.weights()}, test::normals<float>(at.weights(), 2)),
          dy(device, {n, at.out_pixels() * at.out}, test::normals<float>(n * at.out_pixels() * at.out, 3)),
          prepared(device, {layer.prepared_size() + 1}), y(device, dy.shape()), dx(device, {n, at.pixels() * at.in}),
          dw(device, w.shape(), std::vector<float>(static_cast<std::size_t>(at.weights()), 0.5f)) {}

    void step() {
        layer.prepare(device, w.data(), prepared.data());
        layer.forward(device, n, x.data(), w.data(), prepared.data(), {}, y.data());
        layer.input_gradient(device, n, dy.data(), w.data(), nullptr, dx.data());
        layer.weight_gradient(device, n, x.data(), dy.data(), dw.data());
    }
    std::vector<std::vector<float>> results() {
        step();
        return {y.to_host(), dx.to_host(), dw.to_host()};
    }
};

// One image, whose output channels are divided; many, whose tiles are; enough for several groups of tiles; every way there is.
constexpr struct {
    convolution_shape at;
    index_t n;
} cases[] = {{{8, 8, 40, 70}, 1}, {{8, 8, 40, 70}, 9},        {{12, 12, 20, 24}, 130},         {{7, 7, 3, 20}, 20},
             {{7, 7, 20, 3}, 20}, {{8, 8, 24, 16, 3, 2}, 20}, {{8, 8, 16, 16, 3, 1, true}, 12}};

TEST_CASE("convolution: the number of threads changes no bit") {
    for (auto const& c : cases)
        for (accuracy const how : {accuracy::fast, accuracy::balanced, accuracy::exact}) {
            auto const expected = trained(1, c.at, c.n, how).results();
            for (int threads : {2, 3, 7}) CHECK(trained(threads, c.at, c.n, how).results() == expected);
        }
}

TEST_CASE("convolution: a warm step allocates nothing") {
    for (auto const& c : cases)
        for (accuracy const how : {accuracy::fast, accuracy::exact}) {
            trained net(1, c.at, c.n, how);
            net.step();
            net.step();
            std::size_t const before = test::allocations();
            net.step();
            CHECK(test::allocations() == before);
        }
}

}  // namespace
}  // namespace onestep::host_convolution_tests
