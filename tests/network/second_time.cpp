#include <onestep/network/mlp.hpp>
#include <onestep/network/second_time.hpp>
#include <onestep/network/unet.hpp>

#include <doctest/doctest.h>

#include "../test_backend.hpp"

namespace second_time_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("with_second_time: answers as before, whatever the second time, until it is trained") {
    for (int classes : {0, 3}) {
        mlp<double, backend_type> net(device(),
                                      {.data = {3}, .width = 8, .blocks = 2, .embedding = 6, .time = {.size = 4}, .classes = classes});
        fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
        auto wide = with_second_time(net);
        auto const x = normal<double>(device(), {5, 3}, 1), t = normal<double>(device(), {5}, 2), s = normal<double>(device(), {5}, 3);
        tensor<double, backend_type> y(device(), {5, 3}), z(device(), {5, 3});
        net(x.view(), t.view(), y.view());
        wide(x.view(), t.view(), s.view(), z.view());
        auto const before = y.to_host(), after = z.to_host();
        for (std::size_t i = 0; i < before.size(); ++i) CHECK(after[i] == doctest::Approx(before[i]).epsilon(1e-13));
        CHECK(wide.options().second_time);
        CHECK(wide.parameters().size() == net.parameters().size() + 6 * 4);

        // The columns that read the second time are parameters like the others.
        wide.forward(x.view(), t.view(), s.view(), z.view());
        wide.backward(x.view());
        double largest = 0;
        for (parameter const& p : wide.names())
            if (p.name == "time.first.weight") {
                auto const gradients = to_host(wide.gradients());
                for (index_t r = 0; r < 6; ++r)
                    for (index_t c = 4; c < 8; ++c)
                        largest = std::fmax(largest, std::fabs(gradients[static_cast<std::size_t>(p.offset + r * 8 + c)]));
            }
        CHECK(largest > 1e-6);
    }
}

TEST_CASE("with_second_time: refuses a network that has one") {
    mlp<float, backend_type> net(device(), {.data = {2}, .width = 4, .blocks = 1, .second_time = true});
    CHECK_THROWS_WITH_AS(with_second_time(net),
                         "shape_error: with_second_time: the network has a second time, one with a single time is needed", shape_error);
}

TEST_CASE("with_second_time: a U-Net answers as before, too") {
    unet_options options;
    options.data = {4, 4, 1};
    options.width = 8;
    options.multipliers = {1, 2};
    options.blocks = 1;
    options.attention = {2};
    options.time.size = 4;
    options.classes = 2;
    unet<double, backend_type> net(device(), options);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    auto wide = with_second_time(net);
    auto const x = normal<double>(device(), {3, 4, 4, 1}, 1), t = normal<double>(device(), {3}, 2), s = normal<double>(device(), {3}, 3);
    tensor<double, backend_type> y(device(), x.shape()), z(device(), x.shape());
    net(x, t, y);
    wide(x, t, s, z);
    CHECK(relative_difference(z.to_host(), y.to_host()) < 1e-12);
    CHECK(wide.parameters().size() == net.parameters().size() + 4 * 32);
}

}  // namespace second_time_tests
