#include <onestep/sampler/euler_ancestral.hpp>

#include <onestep/time/log_snr_grid.hpp>

#include "stochastic.hpp"

namespace euler_ancestral_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("euler ancestral: order 1 in mean and variance for any eta") {
    check_weak_order(euler_ancestral{}, 1);
    check_weak_order(euler_ancestral{.eta = 0.4}, 0.4);
}

TEST_CASE("euler ancestral: a step is Euler's in sigma to the level down, then noise up") {
    cpu device(1);
    double const data = 0.375, start = 2.5, from = 4, to = 1.5;
    for (double eta : {0.0, 0.5, 1.0, 3.0})
        for (double scale : {1.0, 1.1}) {
            CAPTURE(eta);
            CAPTURE(scale);
            double const up = std::fmin(to, eta * std::sqrt(to * to * (from * from - to * to) / (from * from)));
            double const down = std::sqrt(to * to - up * up);
            tensor<double, cpu> x(device, {1, 1}, std::vector<double>{start}), z(device, {1, 1});
            model const flow{[=](auto, auto, auto y) { fill(y, data); }, edm{}, x0{}};
            solve(flow, euler_ancestral{.eta = eta, .noise_scale = scale}, {from, to}, x.view(), {3});
            fill_normal(z.view(), random_key{3}.at(draw::solver));
            CHECK(x.data()[0] == doctest::Approx(start + (down - from) * (start - data) / from + scale * up * z.data()[0]).epsilon(1e-13));
        }
}

TEST_CASE("euler ancestral: is the same on every process in x over alpha") {
    euler_ancestral const solver{.eta = 0.7, .noise_scale = 1.1};
    check_same_on_edm(solver, rectified_flow{});
    check_same_on_edm(solver, variance_preserving<>{});
    check_same_on_edm(solver, trigonometric_flow{});
    check_same_on_edm(solver, discrete<>{});
}

TEST_CASE("euler ancestral: with unit noise it is ddim, bit for bit") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    tensor<float, cpu> const z = normal<float>(device, {9, 2}, 4);
    for (double eta : {0.0, 0.6, 1.0})
        CHECK(sample(flow, euler_ancestral{.steps = 12, .eta = eta}, z, uniform_grid{}, {5}).to_host() ==
              sample(flow, ddim{.steps = 12, .eta = eta}, z, uniform_grid{}, {5}).to_host());
}

TEST_CASE("euler ancestral: zero terminal SNR, the data, and one step") { check_ends(euler_ancestral{}); }

TEST_CASE("euler ancestral: samples have the distribution of the data") {
    check_distribution<x0>(edm{}, euler_ancestral{.steps = 80}, 0.02, log_snr_grid{});
}

TEST_CASE("euler ancestral: rows depend on nothing but themselves") { check_rows_are_independent(euler_ancestral{}, equal_times(1, 0, 3)); }

TEST_CASE("euler ancestral: one evaluation a step, and no allocation") {
    CHECK(evaluations(euler_ancestral{}, 7) == 7);
    check_allocates_nothing(euler_ancestral{});
}

TEST_CASE("euler ancestral: errors") {
    check_refuses_inversion(euler_ancestral{}, "domain_error: transition_of: s is 0.5 and t is 0.25, a step goes towards the data: s <= t");
    check_refuses_inversion(euler_ancestral{.noise_scale = -1}, "domain_error: euler_ancestral: noise_scale is -1, it must be at least 0");
}

TEST_CASE("euler ancestral: passes through the states of its peers") {
    int compared = 0;
    for (char const* name : {"EulerAncestralDiscreteScheduler", "sample_euler_ancestral"})
        for (golden::recording const& run : golden::named(name)) {
            REQUIRE(run.fault.empty());
            euler_ancestral const solver{.eta = run.step.number("eta", 1), .noise_scale = run.step.number("s_noise", 1)};
            golden::check_with_noise<double>(run, solver);
            golden::check_with_noise<float>(run, solver);
            ++compared;
        }
    CHECK(compared == 7);
}

TEST_CASE("euler ancestral: is a printable and comparable spec") {
    CHECK(to_string(euler_ancestral{.steps = 8, .eta = 0.5}) == "euler_ancestral{steps = 8, eta = 0.5, noise_scale = 1}");
    CHECK_FALSE(euler_ancestral{.eta = 0.5} == euler_ancestral{});
}

}  // namespace euler_ancestral_tests
