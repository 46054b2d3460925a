#include <onestep/train/average.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "bare_network.hpp"

namespace average_tests {

using namespace onestep;
using onestep::test::bare_network;

TEST_CASE("average: the ramp is (1 + k) / (10 + k) until it meets the decay") {
    average_options const options{.decay = 0.9};
    CHECK(options.at(1) == 2.0 / 11);
    CHECK(options.at(2) == 3.0 / 12);
    CHECK(options.at(79) == 80.0 / 89);
    CHECK(options.at(80) == 0.9);
    CHECK(options.at(1'000'000) == 0.9);
    CHECK(average_options{.decay = 0.9, .ramp = false}.at(1) == 0.9);
    CHECK(average_options{.decay = 0}.at(5) == 0);
    CHECK(to_string(options) == "average{decay = 0.9, ramp = true}");
    CHECK(options == average_options{.decay = 0.9});
    CHECK_FALSE(options == average_options{.decay = 0.9, .ramp = false});
}

TEST_CASE("average: follows by its formula and owns its copy") {
    cpu device(1);
    for (bool ramp : {true, false}) {
        CAPTURE(ramp);
        bare_network<double, cpu> net(device, {1, -2});
        model flow{net, rectified_flow{}, velocity{}};
        average ema{average_options{.decay = 0.3, .ramp = ramp}, flow};
        std::vector<double> expected{1, -2};
        CHECK(to_host(ema.model().network().parameters()) == expected);
        CHECK(ema.model().network().parameters().data() != net.parameters().data());
        for (int k = 1; k <= 6; ++k) {
            std::vector<double> const p{1.0 / k, 3.0 * k};
            net.set_parameters(p);
            ema.update();
            double const d = ramp ? std::min(0.3, (1.0 + k) / (10.0 + k)) : 0.3;
            auto const a = to_host(ema.model().network().parameters());
            for (std::size_t i = 0; i < 2; ++i) {
                expected[i] = d * expected[i] + (1 - d) * p[i];
                CHECK(a[i] == doctest::Approx(expected[i]).epsilon(1e-14));
            }
            CHECK(to_host(net.parameters()) == p);
        }
        CHECK(ema.updates() == 6);
    }
}

TEST_CASE("average: without decay it is the model itself") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1, -2});
    model flow{net, rectified_flow{}, velocity{}};
    average ema{0.0, flow};
    net.set_parameters({0.7f, 11});
    ema.update();
    CHECK(to_host(ema.model().network().parameters()) == std::vector<float>{0.7f, 11});
}

TEST_CASE("average: a decay of one's own in each update, whatever the options, and 0 copies") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1, -2});
    model flow{net, rectified_flow{}, velocity{}};
    average ema{average_options{.decay = 0.999, .ramp = true}, flow};
    net.set_parameters({0.7f, 11});
    ema.update(0.75);
    std::vector<float> const once{std::fma(0.25f, 0.7f - 1, 1.0f), std::fma(0.25f, 13.0f, -2.0f)};
    CHECK(to_host(ema.model().network().parameters()) == once);
    net.set_parameters({0.1f, std::numeric_limits<float>::denorm_min()});
    ema.update(0);
    CHECK(to_host(ema.model().network().parameters()) == std::vector<float>{0.1f, std::numeric_limits<float>::denorm_min()});
    net.set_parameters({5, 6});
    ema.update(1);
    CHECK(to_host(ema.model().network().parameters()) == std::vector<float>{0.1f, std::numeric_limits<float>::denorm_min()});
    CHECK(ema.updates() == 3);
}

TEST_CASE("average: goes on from where it was") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1});
    model flow{net, rectified_flow{}, velocity{}};
    average ema{0.999, flow};
    ema.restore(5);
    CHECK(ema.begin_update() == 1 - 7.0 / 16);
    CHECK(ema.updates() == 6);
}

TEST_CASE("average: refuses a decay outside its range") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1});
    model flow{net, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS((average{1.0, flow}), "domain_error: average: decay is 1, it must be in [0, 1)", domain_error);
    CHECK_THROWS_AS((average{-0.1, flow}), domain_error);
    CHECK_THROWS_AS((average{std::numeric_limits<double>::quiet_NaN(), flow}), domain_error);
}

}  // namespace average_tests
