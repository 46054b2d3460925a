// Three clusters in the plane with their exact velocity: what a perfectly trained network would do.
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/energy_distance.hpp>
#include <onestep/evaluation/sliced_wasserstein.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/sample.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace mixture_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// Which of the three clusters is nearest.
template <class T> std::size_t nearest(T const* x) {
    auto const clusters = three_clusters();
    std::size_t best = 0;
    double least = HUGE_VAL;
    for (std::size_t k = 0; k < 3; ++k) {
        auto const& m = clusters.components[k].mean;
        double const far = std::hypot(static_cast<double>(x[0]) - m[0], static_cast<double>(x[1]) - m[1]);
        if (far < least) least = far, best = k;
    }
    return best;
}

}  // namespace

TEST_CASE("end to end: samples of a mixture have its moments and weights") {
    cpu device;
    index_t const n = 20'000;
    mixture const truth = three_clusters();
    model const flow{mixture_data<velocity>{truth}, rectified_flow{}, velocity{}};
    auto const x = sample(flow, heun{.steps = 40}, normal<float>(device, {n, 2}, 5));
    double sum[5] = {}, share[3] = {};
    for (index_t r = 0; r < n; ++r) {
        double const a = static_cast<double>(x.data()[2 * r]), b = static_cast<double>(x.data()[2 * r + 1]);
        double const terms[5] = {a, b, a * a, b * b, a * b};
        for (std::size_t k = 0; k < 5; ++k) sum[k] += terms[k] / static_cast<double>(n);
        share[nearest(x.data() + 2 * r)] += 1 / static_cast<double>(n);
    }
    auto const mean = truth.mean();
    auto const second = truth.second_moments();
    double const expected[5] = {mean[0], mean[1], second[0], second[1], second[2]};
    for (std::size_t k = 0; k < 5; ++k) {
        CAPTURE(k);
        CHECK(std::fabs(sum[k] - expected[k]) < 0.045);  // four deviations of a mean over 20 000, and the solver's error
    }
    auto const exact = truth.samples<float>(device, n, 8);
    double true_share[3] = {};
    for (index_t r = 0; r < n; ++r) true_share[nearest(exact.data() + 2 * r)] += 1 / static_cast<double>(n);
    for (std::size_t k = 0; k < 3; ++k) CHECK(std::fabs(share[k] - true_share[k]) < 0.02);
}

TEST_CASE("end to end: samples of a mixture are near the truth, and nearer with more steps") {
    cpu device;
    mixture const truth = three_clusters();
    model const flow{mixture_data<velocity>{truth}, rectified_flow{}, velocity{}};
    auto const z = normal<float>(device, {3000, 2}, 5);
    auto const exact = truth.samples<float>(device, 3000, 8);
    auto const far = [&](auto const& solver) { return energy_distance(sample(flow, solver, z), exact).squared; };
    double const one = far(euler{.steps = 1}), four = far(euler{.steps = 4}), many = far(euler{.steps = 64}), best = far(heun{.steps = 32});
    CHECK(best < 2e-3);
    CHECK(many < 6e-3);
    CHECK(four > 2 * many);
    CHECK(one > 0.2);  // all of it on the mean
    CHECK(sliced_wasserstein(sample(flow, heun{.steps = 32}, z), exact) < 0.06);
    CHECK(energy_distance(z, exact).squared > 0.1);
}

}  // namespace mixture_tests
