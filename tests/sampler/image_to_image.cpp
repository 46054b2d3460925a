#include <onestep/sampler/image_to_image.hpp>

#include <onestep/backend/cpu.hpp>
#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/time/karras_grid.hpp>
#include <onestep/time/trailing_grid.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace image_to_image_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

struct counting_network {
    int* calls;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu>, view<T, cpu> y) const {
        ++*calls;
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = x.data()[i] / 2;
    }
};

template <class Process> void check_noised(Process const& process, double t) {
    CAPTURE(std::string(Process::name));
    CAPTURE(t);
    cpu device(1);
    auto const clean = normal<double>(device, {3, 2, 2, 1}, 1);
    tensor<double, cpu> z(device, {3, 2, 2, 1});
    random_key const key{4, 9, 17};
    fill_normal(z.view(), key.at(draw::noise));
    auto const x = noised(process, clean, t, key);
    CHECK(x.shape() == shape{3, 2, 2, 1});
    for (std::size_t i = 0; i < 12; ++i)
        CHECK(x.data()[i] == doctest::Approx(process.alpha(t) * clean.data()[i] + process.sigma(t) * z.data()[i]).epsilon(1e-14));
    auto const last = noised(process, clean.view().rows(2, 1), t, key.from_row(2));  // a row's noise is its sample's
    CHECK(last.to_host() == std::vector<double>(x.data() + 8, x.data() + 12));
}

}  // namespace

TEST_CASE("noised: is alpha x0 + sigma z, with a sample's own noise") {
    check_noised(rectified_flow{}, 0.3);
    check_noised(edm{}, 7.5);
    check_noised(variance_preserving{}, 0.6);
    check_noised(discrete{}, 400);
    check_noised(rectified_flow{}, 1);
    cpu device(1);
    auto const clean = normal<float>(device, {2, 3}, 1);
    CHECK(noised(rectified_flow{}, clean, 0, {}).to_host() == clean.to_host());
}

TEST_CASE("times_from: runs the last min(floor(n strength), n) steps") {
    // as diffusers' get_timesteps counts them
    struct row {
        int steps;
        double strength;
        int left;
    };
    for (row const& r : {row{10, 1, 10},
                         {10, 0.3, 3},
                         {10, 0.35, 3},
                         {10, 0.999, 9},
                         {50, 0.8, 40},
                         {50, 0.02, 1},
                         {4, 0.25, 1},
                         {3, 0.5, 1},
                         {1, 1, 1},
                         {100, 0.29, 28}}) {  // 100 * 0.29 rounds to 28.999999999999996
        CAPTURE(r.steps);
        CAPTURE(r.strength);
        auto const all = times_of(uniform_grid{}, rectified_flow{}, r.steps);
        CHECK(times_from(all, r.strength) == std::vector<double>(all.end() - (r.left + 1), all.end()));
    }
}

TEST_CASE("times_from: refuses strengths out of range and those that leave no step") {
    std::vector<double> const times{1, 0.75, 0.5, 0.25, 0};
    for (double wrong : {0.0, -0.5, 1.5}) CHECK_THROWS_AS(times_from(times, wrong), domain_error);
    CHECK_THROWS_AS(times_from(times, std::nan("")), domain_error);
    CHECK_THROWS_WITH_AS(times_from(times, 1.5), "domain_error: times_from: the strength is 1.5, it must be in (0, 1]", domain_error);
    CHECK_THROWS_WITH_AS(
        times_from(times, 0.125),
        "domain_error: times_from: a strength of 0.125 leaves none of 4 steps, take more steps or a strength of at least 0.25",
        domain_error);
    CHECK_THROWS_WITH_AS(times_from({1}, 0.5), "domain_error: grid: 1 times were given, a grid has at least two", domain_error);
    CHECK_THROWS_AS(times_from({1, 1, 0}, 0.5), domain_error);
}

TEST_CASE("edit: is noise at the first time that is left, and the solver from there") {
    cpu device(1);
    int calls = 0;
    auto const check = [&](auto const& process, auto const& grid, auto const& solver, double strength, int evaluations) {
        model const flow{counting_network{&calls}, process, x0{}};
        auto const picture = normal<double>(device, {3, 4}, 2);
        random_key const key{11, 0, 5};
        calls = 0;
        auto const x = edit(flow, solver, picture, {.strength = strength}, grid, key);
        CHECK(calls == evaluations);
        auto const times = times_from(times_of(grid, process, solver.steps), strength);
        auto y = noised(process, picture, times.front(), key);
        solve(flow, solver, times, y.view(), key);
        CHECK(x.to_host() == y.to_host());
        // rows as samples of their own
        auto const one = edit(flow, solver, picture.view().rows(1, 1), {.strength = strength}, grid, key.from_row(1));
        CHECK(one.to_host() == std::vector<double>(x.data() + 4, x.data() + 8));
    };
    check(rectified_flow{}, uniform_grid{}, ddim{.steps = 10, .eta = 1}, 0.5, 5);
    check(rectified_flow{}, uniform_grid{}, heun{.steps = 10}, 0.3, 5);
    check(edm{}, karras_grid{}, ddim{.steps = 8}, 1, 8);
    check(discrete{}, trailing_grid{}, ddim{.steps = 50}, 0.8, 40);
    model const flow{counting_network{&calls}, rectified_flow{}, x0{}};
    CHECK_THROWS_AS(edit(flow, ddim{.steps = 10}, normal<float>(device, {1, 2}, 1), {.strength = 0}), domain_error);
    CHECK_THROWS_AS(edit(flow, ddim{.steps = 0}, normal<float>(device, {1, 2}, 1), {}), domain_error);
    CHECK(to_string(edit_options{.strength = 0.5}) == "edit{strength = 0.5}");
}

TEST_CASE("edit: samples of the data stay samples of them, and small strengths stay near the picture") {
    // Data N(0.3, 0.5^2), whose flow is known: x at t moves on with its deviation from the mean scaled.
    cpu device(1);
    gaussian_data<epsilon> const net{0.3, 0.5};
    model const flow{net, rectified_flow{}, epsilon{}};
    auto const picture = normal<double>(device, {5, 3}, 2);
    for (double strength : {0.25, 0.5, 0.75}) {
        auto const x = edit(flow, heun{.steps = 400}, picture, {.strength = strength}, uniform_grid{}, {7});
        auto const start = noised(rectified_flow{}, picture, strength, {7});
        for (std::size_t i = 0; i < 15; ++i)
            CHECK(x.data()[i] == doctest::Approx(net.flow(start.data()[i], strength, 0)).epsilon(1e-3).scale(1));
    }
}

}  // namespace image_to_image_tests
