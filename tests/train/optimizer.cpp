#include <onestep/train/optimizer.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/core/random.hpp>
#include <onestep/process/rectified_flow.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../counting_allocator.hpp"
#include "bare_network.hpp"

namespace optimizer_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

std::vector<float> some(index_t size, std::uint64_t seed) {
    std::vector<float> values;
    for (index_t i = 0; i < size; ++i) values.push_back(normal_deviate(random_key{seed}.at(draw::user), i));
    return values;
}

}  // namespace

TEST_CASE("optimizer: starts with moments of zero and ends a step with gradients of zero") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1, 2, 3});
    optimizer machine(adam{}, net);
    CHECK(to_host(machine.first_moment()) == std::vector<float>(3));
    CHECK(to_host(machine.second_moment()) == std::vector<float>(3));
    CHECK(machine.updates() == 0);
    net.set_gradients({1, -1, 0.5f});
    machine.step();
    CHECK(to_host(net.gradients()) == std::vector<float>(3));
    CHECK(machine.updates() == 1);
    CHECK(machine.spec() == adam{});
    // the first step of Adam moves each parameter by the rate against its gradient's sign
    CHECK(to_host(net.parameters())[0] == doctest::Approx(0.999).epsilon(1e-6));
    CHECK(to_host(net.parameters())[1] == doctest::Approx(2.001).epsilon(1e-6));
    CHECK(to_host(net.parameters())[2] == doctest::Approx(2.999).epsilon(1e-6));
}

TEST_CASE("optimizer: clipping scales the gradient to the limit and returns its norm before") {
    cpu device(1);
    adam const plain{.rate = 0.1, .beta1 = 0, .beta2 = 0, .epsilon = 1};  // p -= rate g / (|g| + 1): depends on g's size
    auto const updated = [&](std::vector<double> const& gradient, double limit, double& norm) {
        bare_network<double, cpu> net(device, std::vector<double>(gradient.size()));
        optimizer machine(plain, net);
        net.set_gradients(gradient);
        norm = machine.clip(limit);
        machine.step();
        return to_host(net.parameters());
    };
    double norm = 0;
    auto const clipped = updated({3, -4}, 1, norm);
    CHECK(norm == 5);
    CHECK(clipped[0] == doctest::Approx(-0.1 * 0.6 / 1.6).epsilon(1e-14));
    CHECK(clipped[1] == doctest::Approx(0.1 * 0.8 / 1.8).epsilon(1e-14));
    auto const whole = updated({3, -4}, 5, norm);
    CHECK(norm == 5);
    CHECK(whole[0] == doctest::Approx(-0.1 * 3 / 4).epsilon(1e-14));
    CHECK(updated({3, -4}, std::numeric_limits<double>::infinity(), norm) == whole);
    CHECK(norm == 5);
    updated({0, 0}, 1, norm);
    CHECK(norm == 0);
}

TEST_CASE("optimizer: the norm is exact over many parts") {
    cpu device(1);
    for (index_t size : {1, 4095, 4096, 4097, 20'000}) {
        CAPTURE(size);
        auto const g = some(size, 4);
        bare_network<float, cpu> net(device, g);
        net.set_gradients(g);
        optimizer machine(adam{}, net);
        double sum = 0;
        for (float value : g) sum += static_cast<double>(value) * static_cast<double>(value);
        CHECK(machine.clip(1e9) == doctest::Approx(std::sqrt(sum)).epsilon(1e-13));
        CHECK(to_host(net.gradients()) == g);
    }
}

TEST_CASE("optimizer: clipping holds for one step") {
    cpu device(1);
    bare_network<double, cpu> net(device, {0.0});
    optimizer machine(adam{.rate = 1, .beta1 = 0, .beta2 = 0, .epsilon = 1}, net);
    net.set_gradients({3});
    machine.clip(1);
    machine.step();
    CHECK(to_host(net.parameters())[0] == doctest::Approx(-0.5).epsilon(1e-14));
    net.set_gradients({3});
    machine.step();
    CHECK(to_host(net.parameters())[0] == doctest::Approx(-0.5 - 0.75).epsilon(1e-14));
}

TEST_CASE("optimizer: clipping refuses what has no norm and clears it") {
    cpu device(1);
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        bare_network<float, cpu> net(device, {1, 2});
        optimizer machine(adam{}, net);
        net.set_gradients({1, bad});
        CHECK_THROWS_AS(machine.clip(1), not_finite_error);
        CHECK(to_host(net.gradients()) == std::vector<float>(2));
        CHECK(to_host(net.parameters()) == std::vector<float>{1, 2});
        CHECK(machine.updates() == 0);
        net.set_gradients({1, 1});  // and goes on, unclipped
        machine.step();
        CHECK(to_host(net.parameters())[0] == doctest::Approx(0.999).epsilon(1e-6));
    }
    bare_network<float, cpu> net(device, {1, 2});
    optimizer machine(adam{}, net);
    net.set_gradients({1, std::numeric_limits<float>::quiet_NaN()});
    CHECK_THROWS_WITH_AS(
        machine.clip(1),
        "not_finite_error: optimizer: the gradient's norm is nan, parameters were left as they are; a lower rate or clipping helps",
        not_finite_error);
    net.set_gradients({1, 1});
    CHECK_THROWS_WITH_AS(machine.clip(0), "domain_error: clip: limit is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(machine.clip(std::numeric_limits<double>::quiet_NaN()), domain_error);
    CHECK(to_host(net.gradients()) == std::vector<float>{1, 1});
}

TEST_CASE("optimizer: discard forgets the gradients and nothing else") {
    cpu device(1);
    bare_network<float, cpu> net(device, {1, 2});
    optimizer machine(adam{}, net);
    net.set_gradients({1, 1});
    machine.step();
    auto const p = to_host(net.parameters()), m = to_host(machine.first_moment());
    net.set_gradients({1, 1});
    machine.discard();
    CHECK(to_host(net.gradients()) == std::vector<float>(2));
    CHECK(to_host(net.parameters()) == p);
    CHECK(to_host(machine.first_moment()) == m);
    CHECK(machine.updates() == 1);
}

TEST_CASE("optimizer: an average moved in the same pass has the bits of one moved by itself") {
    cpu device(1);
    bare_network<float, cpu> one(device, some(5000, 1)), two(device, some(5000, 1));
    model first{one, rectified_flow{}, velocity{}};
    model second{two, rectified_flow{}, velocity{}};
    average fused{0.95, first};
    average separate{0.95, second};
    optimizer a(adamw{.rate = 0.01}, one), b(adamw{.rate = 0.01}, two);
    for (std::uint64_t k = 0; k < 20; ++k) {
        one.set_gradients(some(5000, 10 + k));
        two.set_gradients(some(5000, 10 + k));
        a.step(0.5, fused);
        b.step(0.5);
        separate.update();
    }
    CHECK(to_host(one.parameters()) == to_host(two.parameters()));
    CHECK(to_host(fused.model().network().parameters()) == to_host(separate.model().network().parameters()));
    CHECK(fused.updates() == separate.updates());
    CHECK(to_host(fused.model().network().parameters()) != to_host(one.parameters()));
}

TEST_CASE("optimizer: the same bits for any number of threads, and no allocation") {
    std::vector<float> before;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        bare_network<float, cpu> net(device, some(30'000, 1));
        model flow{net, rectified_flow{}, velocity{}};
        average ema{0.95, flow};
        optimizer machine(adam{}, net);
        std::size_t taken = 0;
        for (std::uint64_t k = 0; k < 3; ++k) {
            auto const g = some(30'000, 10 + k);
            net.set_gradients(g);
            std::size_t const count = allocations();
            machine.clip(50);
            machine.step(1, ema);
            taken = allocations() - count;
        }
        CHECK(taken == 0);
        auto now = to_host(net.parameters());
        auto const averaged = to_host(ema.model().network().parameters());
        now.insert(now.end(), averaged.begin(), averaged.end());
        if (threads > 1) CHECK(now == before);
        before = now;
    }
}

TEST_CASE("optimizer: goes on from where it was") {
    cpu device(1);
    bare_network<double, cpu> net(device, {1.0});
    optimizer machine(adam{.rate = 0.1}, net);
    machine.restore(1'000'000);  // no correction is left
    net.set_gradients({1});
    machine.step();
    CHECK(machine.updates() == 1'000'001);
    CHECK(to_host(net.parameters())[0] == doctest::Approx(1 - 0.1 * 0.1 / std::sqrt(0.001)).epsilon(1e-6));
}

}  // namespace optimizer_tests
