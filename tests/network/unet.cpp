#include <doctest/doctest.h>
#include <onestep/network/check.hpp>
#include <onestep/network/conditioned.hpp>
#include <onestep/network/unet.hpp>

#include <thread>

#include "network/unets.hpp"
#include "test_backend.hpp"

namespace onestep::network_unet_tests {
namespace {

using test::backend_type;
using test::device;
using test::disturb;
using test::variant;
using test::variants;

template <class T> using batch = test::batch_of<T, backend_type>;

TEST_CASE("unet: derivatives are exact in double and promises hold, for every option slow") {
    for (variant const& each : variants()) {
        unet_options const& options = each.options;
        CAPTURE(std::string(each.what));
        unet<double, backend_type> net(device(), options);
        if (options.dropout > 0) net.drop(random_key{5, 3});
        // Normalisations of a few numbers are strongly curved.
        check_options const how{.data = options.data, .second_time = options.second_time, .directions = 2, .step = 2e-5, .time_step = 1e-5};
        auto const check = [&](auto&& network) {
            check_report const gradients = check_gradients(network, how), jvp = check_jvp(network, how);
            CHECK_MESSAGE(gradients.ok(), to_string(gradients));
            CHECK_MESSAGE(jvp.ok(), to_string(jvp));
        };
        check(net);
        if (options.classes > 0) {
            auto const labels = class_labels(device(), {2, 0, 1}, options.classes);
            check(conditioned{net, labels});
        }
    }
}

TEST_CASE("unet: the gradient of x is the transpose of the tangent along x") {
    for (variant const& each : variants()) {
        unet_options const& options = each.options;
        if (options.second_time) continue;
        CAPTURE(std::string(each.what));
        unet<double, backend_type> net(device(), options);
        disturb(net);
        batch<double> b(device(), 3, options.data);
        tensor<double, backend_type> const still(device(), {3}, {0, 0, 0});
        net.jvp(b.x, b.v, b.t, still, b.y, b.vy);
        net.forward(b.x, b.t, b.y);
        net.backward(b.dy.view(), b.dx.view());
        CHECK(test::dot(b.dy.to_host(), b.vy.to_host()) == doctest::Approx(test::dot(b.dx.to_host(), b.v.to_host())).epsilon(1e-10));
    }
}

TEST_CASE("unet: starts as the zero function, unless its last layer is told not to") {
    for (variant const& each : variants()) {
        unet_options const& options = each.options;
        if (options.second_time) continue;
        CAPTURE(std::string(each.what));
        unet<float, backend_type> const net(device(), options);
        batch<float> b(device(), 2, options.data);
        net(b.x, b.t, b.y);
        CHECK((test::dot(b.y.to_host(), b.y.to_host()) == 0) == options.zero_output);
    }
}

TEST_CASE("unet: parameters have the names and extents of the PyTorch module") {
    auto options = variants()[0].options;
    unet<float, backend_type> const net(device(), options);
    std::string names;
    for (parameter const& p : net.names()) names += p.name + to_string(p.extents) + "\n";
    for (char const* one :
         {"time.first.weight[32, 8]", "time.second.bias[32]", "in.weight[8, 2, 3, 3]", "down.0.0.norm1.weight[8]",
          "down.0.0.conv1.weight[8, 8, 3, 3]", "down.0.reduce.weight[8, 8, 3, 3]", "down.1.0.skip.weight[16, 8, 1, 1]",
          "down.1.0.attention.norm.bias[16]", "middle.attention.qkv.weight[48, 16]", "middle.attention.out.bias[16]",
          "middle.1.emb.weight[16, 32]", "up.1.0.norm1.weight[32]", "up.1.1.conv1.weight[16, 24, 3, 3]", "up.1.enlarge.bias[16]",
          "up.0.1.skip.weight[8, 16, 1, 1]", "out.norm.weight[8]", "out.conv.weight[2, 8, 3, 3]"})
        CHECK_MESSAGE(names.find(std::string(one) + "\n") != std::string::npos, one);
    index_t total = 0;
    for (parameter const& p : net.names()) total += p.extents.size();
    CHECK(total == net.parameters().size());
}

TEST_CASE("unet: named sizes have the numbers of parameters of their models") {
    CHECK(unet<float, backend_type>(device(), unet_options::mnist()).names().size() == 6469889);
    CHECK(unet<float, backend_type>(device(), unet_options::cifar()).names().size() == 35746307);  // Ho, Jain, Abbeel 2020: "35.7 million"
}

TEST_CASE("unet: weights that change are noticed, wherever they came from") {
    unet_options options = variants()[0].options;
    options.width = 16;
    unet<float, backend_type> net(device(), options), other(device(), options);
    disturb(net);
    batch<float> b(device(), 2, options.data);
    net(b.x, b.t, b.y);
    auto const before = b.y.to_host();
    disturb(net);
    net(b.x, b.t, b.y);
    auto const after = b.y.to_host();
    CHECK(before != after);
    other.parameters().backend().copy(std::as_const(net).parameters().data(), other.names().size(), other.parameters().data());
    other(b.x, b.t, b.y);
    CHECK(b.y.to_host() == after);
    unet<float, backend_type> const copy = net;
    copy(b.x, b.t, b.y);
    CHECK(b.y.to_host() == after);
}

TEST_CASE("unet: dropout follows its key, is the same for two networks, and stops") {
    unet_options options = variants()[3].options;
    unet<float, backend_type> net(device(), options);
    disturb(net);
    unet<float, backend_type> other = net;
    batch<float> b(device(), 3, options.data);
    auto const result = [&](auto& of) {
        of(b.x, b.t, b.y);
        return b.y.to_host();
    };
    auto const whole = result(net);
    net.drop(random_key{1, 2});
    other.drop(random_key{1, 2});
    auto const dropped = result(net);
    CHECK(dropped != whole);
    CHECK(result(other) == dropped);
    other.drop(random_key{1, 3});
    CHECK(result(other) != dropped);
    net.forward(b.x, b.t, b.y);
    CHECK(test::relative_difference(b.y.to_host(), dropped) < 1e-5);
    net.drop({});
    CHECK(result(net) == whole);
}

TEST_CASE("unet: a row has the same bits alone and among others") {
    for (variant const& each : variants()) {
        unet_options const& options = each.options;
        if (options.second_time) continue;
        CAPTURE(std::string(each.what));
        unet<float, backend_type> net(device(), options);
        disturb(net);
        batch<float> b(device(), 5, options.data);
        net(b.x, b.t, b.y);
        auto const together = b.y.to_host();
        for (index_t r = 0; r < 5; ++r) net(b.x.view().rows(r, 1), b.t.view().rows(r, 1), b.y.view().rows(r, 1));
        CHECK(test::hash(b.y.to_host()) == test::hash(together));
    }
}

TEST_CASE("unet: may be evaluated from several threads at once") {
    unet_options const options = variants()[0].options;
    unet<float, backend_type> net(device(), options);
    disturb(net);
    batch<float> first(device(), 2, options.data), second(device(), 2, options.data), third(device(), 2, options.data);
    std::thread one([&] { net(first.x, first.t, first.y); }), two([&] { net(second.x, second.t, second.y); });
    one.join();
    two.join();
    net(third.x, third.t, third.y);
    CHECK(first.y.to_host() == third.y.to_host());
    CHECK(second.y.to_host() == third.y.to_host());
}

TEST_CASE("unet: refuses what it cannot be, and says why") {
    auto const message = [](auto const& change) {
        unet_options options;
        change(options);
        try {
            unet<float, backend_type>(device(), options);
        } catch (error const& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(message([](unet_options& o) {
              o.data = {30, 28, 1};
          }) == "shape_error: unet: data is [30, 28, 1], with 3 levels height and width must be divisible by 4");
    CHECK(message([](unet_options& o) { o.data = {784}; }) == "shape_error: unet: data is [784], an image is [height, width, channels]");
    CHECK(message([](unet_options& o) { o.multipliers = {}; }) ==
          "domain_error: unet: there are no multipliers, there must be one for each level");
    CHECK(message([](unet_options& o) { o.multipliers = {1, 0}; }) == "domain_error: unet: a multiplier is 0, they must be at least 1");
    CHECK(message([](unet_options& o) { o.blocks = 0; }) == "domain_error: unet: blocks is 0, it must be at least 1");
    CHECK(message([](unet_options& o) { o.head_channels = 48; }) ==
          "domain_error: unet: a level has 64 channels, heads of 48 must divide them");
    CHECK(message([](unet_options& o) { o.dropout = 1; }).starts_with("domain_error: dropout"));
}

TEST_CASE("unet: wrong calls are refused, and lose nothing") {
    unet_options const options = variants()[0].options;
    unet<float, backend_type> net(device(), options);
    batch<float> b(device(), 2, options.data), other(device(), 3, options.data);
    CHECK_THROWS_WITH_AS(net.backward(b.dy), "shape_error: unet: backward was given dy [2, 8, 4, 2], no forward is waiting for it",
                         shape_error);
    net.forward(b.x, b.t, b.y);
    CHECK_THROWS_WITH_AS(net(b.x, b.t, b.s, b.y), "shape_error: unet: a second time s was given, this network is called as net(x, t, y)",
                         shape_error);
    CHECK_THROWS_WITH_AS(net.forward(b.x, other.t, b.y), "shape_error: unet: t is [3], it must be [2]", shape_error);
    CHECK_THROWS_WITH_AS(net.backward(other.dy),
                         "shape_error: unet: backward was given dy [3, 8, 4, 2], the forward that waits has [2, 8, 4, 2]", shape_error);
    net.backward(b.dy);
    CHECK(test::dot(to_host(net.gradients()), to_host(net.gradients())) > 0);
}

}  // namespace
}  // namespace onestep::network_unet_tests
