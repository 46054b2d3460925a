#include <onestep/sampler/sample.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/midpoint.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/rk45.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

namespace sample_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// An mlp that is not the zero function.
mlp<float, cpu> lively_mlp(cpu& device, mlp_options const& options) {
    mlp<float, cpu> net(device, options);
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    return net;
}

/// Writes the time it is given, and remembers all of them.
struct clock_network {
    std::vector<float>* times;
    void operator()(view<float const, cpu>, view<float const, cpu> t, view<float, cpu> y) const {
        for (index_t r = 0; r < t.size(); ++r) times->push_back(t.data()[r]);
        for (index_t i = 0; i < y.size(); ++i) y.data()[i] = 0;
    }
};

/// Half the noise of rectified flow at the start, and data from t = 0.25 on: not the range [0, 1].
struct short_process {
    double alpha(double t) const { return 1 - t; }
    double sigma(double t) const { return t; }
    double alpha_derivative(double) const { return -1; }
    double sigma_derivative(double) const { return 1; }
    double log_snr(double t) const { return 2 * (std::log1p(-t) - std::log(t)); }
    double time_of_log_snr(double value) const { return 1 / (1 + std::exp(value / 2)); }
    double t_min() const { return 0.25; }
    double t_max() const { return 0.5; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("sample: starts as sigma(t_max) z and stops at t_min, at the grid's times") {
    cpu device(1);
    std::vector<float> times;
    model const still{clock_network{&times}, short_process{}, velocity{}};
    tensor<float, cpu> const z(device, {2, 2}, {1, -2, 3, 4});
    CHECK(sample(still, euler{.steps = 2}, z).to_host() == std::vector<float>{0.5f, -1, 1.5f, 2});
    CHECK(times == std::vector<float>{0.5f, 0.5f, 0.375f, 0.375f});
    times.clear();
    sample(still, heun{.steps = 1}, z);
    CHECK(times == std::vector<float>{0.5f, 0.5f, 0.25f, 0.25f});
    CHECK(z.to_host() == std::vector<float>{1, -2, 3, 4});
}

TEST_CASE("sample: one step of every solver") {
    cpu device(1);
    gaussian_data<velocity> const net{0.25, 0.5};
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<double, cpu> const z(device, {1, 2}, {0.8, -1.5});
    auto const u = [](double x, double t) {
        double const variance = (1 - t) * (1 - t) * 0.25 + t * t;
        return -0.25 + (t - (1 - t) * 0.25) / variance * (x - (1 - t) * 0.25);
    };
    auto const one = sample(flow, euler{.steps = 1}, z).to_host(), two = sample(flow, heun{.steps = 1}, z).to_host(),
               four = sample(flow, rk4{.steps = 1}, z).to_host();
    for (std::size_t i = 0; i < 2; ++i) {
        double const x = z.data()[i], k1 = u(x, 1), ahead = u(x - k1, 0);
        CHECK(one[i] == doctest::Approx(0.25).epsilon(1e-15));  // at t = 1 the best guess of x0 is the mean
        CHECK(two[i] == doctest::Approx(x - (k1 + ahead) / 2).epsilon(1e-14));
        double const k2 = u(x - k1 / 2, 0.5), k3 = u(x - k2 / 2, 0.5), k4 = u(x - k3, 0);
        CHECK(four[i] == doctest::Approx(x - (k1 + 2 * k2 + 2 * k3 + k4) / 6).epsilon(1e-14));
    }
}

TEST_CASE("sample: tensors of any rank keep their shape") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.25, 0.5}, rectified_flow{}, velocity{}};
    tensor<float, cpu> const z = normal<float>(device, {3, 4, 4, 2}, 5);
    auto const x = sample(flow, euler{.steps = 3}, z);
    CHECK(x.shape() == shape{3, 4, 4, 2});
    CHECK(x.to_host() == to_host(sample(flow, euler{.steps = 3}, z.view().reshaped({3, 32})).view()));
}

TEST_CASE("solve: there and back again") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    tensor<double, cpu> const z(device, {3, 2}, {0.4, 0.3, -0.9, 0.8, 1.2, -1.1});
    tensor<double, cpu> x = z;
    CHECK(solve(flow, rk4{}, equal_times(1, 0, 200), x.view()) == 800);
    CHECK(relative_to(x.to_host(), z.to_host()) > 0.1);
    CHECK(solve(flow, rk4{}, equal_times(0, 1, 200), x.view()) == 800);
    CHECK(relative_to(x.to_host(), z.to_host()) < 1e-8);
}

TEST_CASE("sample: a row is the same in any batch and for any number of threads") {
    std::vector<float> whole;
    for (int threads : {1, 2, 3}) {
        cpu device(threads);
        model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
        tensor<float, cpu> const z = normal<float>(device, {5000, 2}, 9);  // enough elements to be shared among threads
        auto const all = sample(flow, heun{.steps = 3}, z);
        if (threads == 1) whole = all.to_host();
        CHECK(all.to_host() == whole);
        for (index_t size : {1, 7, 64, 4099}) {
            CAPTURE(size);
            for (index_t first : {0, 5, 901}) {
                auto const part = sample(flow, heun{.steps = 3}, z.view().rows(first, size));
                CHECK(part.to_host() == std::vector<float>(whole.begin() + first * 2, whole.begin() + (first + size) * 2));
            }
        }
    }
}

TEST_CASE("sample: a trained network's rows do not depend on their batch") {
    for (index_t d : {2, 8}) {
        std::vector<float> whole;
        for (int threads : {1, 2, 3}) {
            cpu device(threads);
            auto const net = lively_mlp(device, {.data = {d}, .width = 96, .blocks = 2});
            model const flow{net, rectified_flow{}, velocity{}};
            tensor<float, cpu> const z = normal<float>(device, {200, d}, 9);
            auto const all = sample(flow, heun{.steps = 3}, z);
            if (threads == 1) whole = all.to_host();
            CHECK(all.to_host() == whole);
            for (index_t size : {1, 2, 3, 4, 7, 64}) {
                CAPTURE(size);
                for (index_t first : {0, 5, 136}) {
                    auto const part = sample(flow, heun{.steps = 3}, z.view().rows(first, size)).to_host();
                    std::vector<float> const expected(whole.begin() + first * d, whole.begin() + (first + size) * d);
#if defined(ONESTEP_VECTOR_GEMM)
                    CHECK(part == expected);
#endif
                    CHECK(relative_to(part, expected) < 1e-5);
                }
            }
        }
    }
}

TEST_CASE("sample: one model and one solver serve several threads at once, as alone") {
    cpu device(1);
    auto const net = lively_mlp(device, {.data = {4}, .width = 32, .blocks = 1});
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> const z = normal<float>(device, {16, 4}, 9);
    auto const check = [&](auto const& solver) {
        auto const expected = sample(flow, solver, z, uniform_grid{}, random_key{5}).to_host();
        std::atomic<int> different{0};
        std::vector<std::thread> crew;
        for (int k = 0; k < 4; ++k)
            crew.emplace_back([&] {
                for (int repeat = 0; repeat < 10; ++repeat)
                    different += sample(flow, solver, z, uniform_grid{}, random_key{5}).to_host() != expected;
            });
        for (std::thread& one : crew) one.join();
        CHECK(different == 0);
    };
    check(rk4{.steps = 4});
    check(heun{.steps = 4});
    check(rk45{.rtol = 1e-3, .atol = 1e-3});
    check(ddim{.steps = 4, .eta = 1});
}

TEST_CASE("solve: refuses times that are no path, before x is touched") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, euler{}, {1}, x.view()), "domain_error: grid: 1 times were given, a grid has at least two",
                         domain_error);
    CHECK_THROWS_AS(solve(flow, euler{}, {}, x.view()), domain_error);
    CHECK_THROWS_WITH_AS(solve(flow, euler{}, {1, 0.5, 0.75}, x.view()),
                         "domain_error: grid: time 2 is 0.75 after 0.5, times must move strictly in one direction", domain_error);
    CHECK_THROWS_AS(solve(flow, euler{}, {0.5, 0.5}, x.view()), domain_error);
    CHECK_THROWS_AS(solve(flow, euler{}, {1, std::numeric_limits<double>::quiet_NaN()}, x.view()), domain_error);
    CHECK(x.to_host() == std::vector<float>{1, 2});
    CHECK_THROWS_WITH_AS(sample(flow, euler{.steps = 0}, x), "domain_error: uniform_grid: steps is 0, at least 1 is needed", domain_error);
    CHECK_THROWS_AS(sample(flow, heun{.steps = -1}, x), domain_error);
}

TEST_CASE("solve: what the network refuses reaches the caller") {
    cpu device(1);
    mlp const net(device, {.data = {3}, .width = 4, .blocks = 1});
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(model{net, rectified_flow{}, velocity{}}, euler{}, {1, 0}, x.view()),
                         "shape_error: mlp: x is [1, 2], this network takes [n, 3]", shape_error);
    model const by_epsilon{gaussian_data<epsilon>{}, rectified_flow{}, epsilon{}};
    CHECK_THROWS_WITH_AS(
        sample(by_epsilon, euler{}, x),
        "domain_error: epsilon -> velocity: t is 1 with alpha = 0, sigma = 1, the two are independent of each other there; predict "
        "another target or keep the grid away from this time",
        domain_error);
    CHECK(x.to_host() == std::vector<float>{1, 2});
}

TEST_CASE("solve: no rows, no evaluation") {
    cpu device(1);
    std::vector<float> times;
    tensor<float, cpu> x(device, {0, 2});
    CHECK(solve(model{clock_network{&times}, rectified_flow{}, velocity{}}, euler{}, {1, 0}, x.view()) == 0);
    CHECK(times.empty());
}

TEST_CASE("solve: a warm call allocates nothing") {
    if (!counts_allocations) return;
    for (int threads : {1, 2}) {
        cpu device(threads);
        auto const net = lively_mlp(device, {.data = {8}, .width = 32, .blocks = 2, .time = {.scale = 1}});
        model const flow{net, rectified_flow{}, velocity{}};
        tensor<float, cpu> const z = normal<float>(device, {64, 8}, 9);
        tensor<float, cpu> x = z;
        std::vector<double> const times = equal_times(1, 0, 4);
        auto const warm = [&](auto const& solver) {
            for (int k = 0; k < 3; ++k) {
                device.copy(z.data(), z.size(), x.data());
                solve(flow, solver, times, x.view());
            }
            device.copy(z.data(), z.size(), x.data());
            std::size_t const before = allocations();
            solve(flow, solver, times, x.view());
            return allocations() - before;
        };
        CHECK(warm(euler{}) == 0);
        CHECK(warm(heun{}) == 0);
        CHECK(warm(rk4{}) == 0);
        CHECK(warm(midpoint{}) == 0);
        CHECK(warm(rk45{}) == 0);
        CHECK(warm(ddim{.eta = 1}) == 0);
    }
}

TEST_CASE("sampling: step by step is the same as at once, bit for bit") {
    cpu device(2);
    auto const net = lively_mlp(device, {.data = {4}, .width = 32, .blocks = 1});
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> const z = normal<float>(device, {70, 4}, 9);
    auto const check = [&](auto const& solver, auto const& times) {
        tensor<float, cpu> at_once = z, stepwise = z;
        index_t const evaluations = solve(flow, solver, times, at_once.view(), random_key{5});
        sampling run(flow, solver, times, stepwise.view(), random_key{5});
        int steps = 0;
        CHECK(run.time() == times.front());
        CHECK(run.step() == 0);
        CHECK_FALSE(run.done());
        while (run.advance()) {
            ++steps;
            CHECK(run.step() == steps);
            CHECK(run.time() == times[static_cast<std::size_t>(steps)]);
        }
        CHECK(run.done());
        CHECK(run.step() == static_cast<int>(times.size()) - 1);
        CHECK(run.time() == times.back());
        CHECK(run.evaluations() == evaluations);
        CHECK(stepwise.to_host() == at_once.to_host());
        CHECK_FALSE(run.advance());  // done: nothing happens
        CHECK(run.evaluations() == evaluations);
        CHECK(stepwise.to_host() == at_once.to_host());
    };
    for (auto const& times : {equal_times(1, 0, 1), equal_times(1, 0, 6), equal_times(0.1, 0.9, 3)}) {
        check(euler{}, times);
        check(heun{}, times);
        check(rk4{}, times);
        check(midpoint{}, times);
        check(rk45{.rtol = 1e-3, .atol = 1e-3}, times);
    }
    check(ddim{.eta = 1}, equal_times(1, 0, 5));
}

TEST_CASE("sampling: begins anew, with the same noise and no memory of before") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    tensor<double, cpu> const z = normal<double>(device, {5, 2}, 4);
    tensor<double, cpu> x = z;
    sampling run(flow, ddim{.eta = 1}, equal_times(1, 0, 4), x.view(), random_key{5});
    while (run.advance()) {
    }
    auto const first = x.to_host();
    for (int stop : {1, 3, 4}) {  // whatever was left undone
        device.copy(z.data(), z.size(), x.data());
        run.begin();
        CHECK(run.step() == 0);
        CHECK(run.evaluations() == 0);
        for (int k = 0; k < stop; ++k) run.advance();
        device.copy(z.data(), z.size(), x.data());
        run.begin();
        while (run.advance()) {
        }
        CHECK(run.evaluations() == 4);
        CHECK(x.to_host() == first);
    }
}

TEST_CASE("sampling: refuses times that are no path, copies the times, and does nothing without rows") {
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2}), none(device, {0, 2});
    using run_type = sampling<decltype(flow), euler, float, cpu>;
    CHECK_THROWS_AS(run_type(flow, euler{}, {1}, x.view()), domain_error);
    CHECK_THROWS_WITH_AS(run_type(flow, euler{}, {1, 0.5, 0.75}, x.view()),
                         "domain_error: grid: time 2 is 0.75 after 0.5, times must move strictly in one direction", domain_error);
    std::vector<double> times{1, 0.5, 0};
    run_type run(flow, euler{}, times, x.view());
    times = {7, 8};
    CHECK(run.time() == 1);
    std::vector<float> told;
    sampling empty(model{clock_network{&told}, rectified_flow{}, velocity{}}, euler{}, {1, 0}, none.view());
    CHECK_FALSE(empty.advance());
    CHECK(empty.done());
    CHECK(empty.evaluations() == 0);
    CHECK(told.empty());
    static_assert(noexcept(run.begin())&& noexcept(run.done())&& noexcept(run.step())&& noexcept(run.time())&& noexcept(run.evaluations()));
    static_assert(!std::is_copy_constructible_v<run_type> && !std::is_copy_assignable_v<run_type>);
}

TEST_CASE("sampling: a step that throws can be repeated") {
    cpu device(1);
    int calls = 0;
    auto const moody = [&](view<float const, cpu>, view<float const, cpu>, view<float, cpu> y) {
        if (++calls == 2) raise<domain_error>("moody", "not now");
        fill(y, 1.0f);
    };
    model const flow{moody, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 1}, {3});
    sampling run(flow, euler{}, {1, 0.5, 0}, x.view());
    CHECK(run.advance());
    CHECK_THROWS_AS(run.advance(), domain_error);
    CHECK(run.step() == 1);
    CHECK(x.data()[0] == 2.5f);
    CHECK_FALSE(run.advance());
    CHECK(x.data()[0] == 2);
}

TEST_CASE("sampling: warm steps allocate nothing") {
    if (!counts_allocations) return;
    for (int threads : {1, 2}) {
        cpu device(threads);
        auto const net = lively_mlp(device, {.data = {8}, .width = 32, .blocks = 2, .time = {.scale = 1}});
        model const flow{net, rectified_flow{}, velocity{}};
        tensor<float, cpu> const z = normal<float>(device, {64, 8}, 9);
        tensor<float, cpu> x = z;
        auto const warm = [&](auto const& solver) {
            device.copy(z.data(), z.size(), x.data());
            sampling run(flow, solver, equal_times(1, 0, 6), x.view());
            run.advance();
            run.advance();
            std::size_t const before = allocations();
            while (run.advance()) {
            }
            run.begin();
            while (run.advance()) {
            }
            return allocations() - before;
        };
        CHECK(warm(euler{}) == 0);
        CHECK(warm(heun{}) == 0);
        CHECK(warm(rk4{}) == 0);
        CHECK(warm(midpoint{}) == 0);
        CHECK(warm(rk45{}) == 0);
        CHECK(warm(ddim{.eta = 1}) == 0);
    }
}

}  // namespace sample_tests
