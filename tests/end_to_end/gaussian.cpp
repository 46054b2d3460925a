// Gaussian data: the flow map is known, x0 = mean + deviation z.
#include <onestep/backend/cpu.hpp>
#include <onestep/backend/random_fill.hpp>
#include <onestep/evaluation/energy_distance.hpp>
#include <onestep/evaluation/sliced_wasserstein.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/sampler/heun.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/epsilon.hpp>

#include <doctest/doctest.h>

#include "../exact_models.hpp"

namespace gaussian_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

constexpr double mean = 0.4, deviation = 0.5;

/// Largest distance between samples and where the exact flow carries their noise.
template <class Target, class Solver> double flow_error(Target const& target, Solver const& solver, tensor<double, cpu> const& z) {
    gaussian_data<Target> const net{mean, deviation};
    auto const x = sample(model{net, rectified_flow{}, target}, solver, z);
    double worst = 0;
    for (index_t i = 0; i < z.size(); ++i) worst = std::fmax(worst, std::fabs(x.data()[i] - (mean + deviation * z.data()[i])));
    return worst;
}

}  // namespace

TEST_CASE("end to end: solvers carry noise to where the exact flow of a Gaussian does") {
    cpu device(1);
    auto const z = normal<double>(device, {200, 3}, 1);
    CHECK(flow_error(velocity{}, euler{.steps = 100}, z) < 0.03);
    CHECK(flow_error(velocity{}, euler{.steps = 1000}, z) < 0.003);
    CHECK(flow_error(velocity{}, heun{.steps = 20}, z) < 6e-3);
    CHECK(flow_error(velocity{}, heun{.steps = 200}, z) < 6e-5);
    CHECK(flow_error(velocity{}, rk4{.steps = 10}, z) < 2e-4);
    CHECK(flow_error(velocity{}, rk4{.steps = 100}, z) < 2e-8);
    // at t = 0 the prediction of x0 is x itself, so that Euler's last step is exact
    CHECK(flow_error(x0{}, euler{.steps = 1000}, z) < 0.003);
    CHECK(flow_error(x0{}, heun{.steps = 200}, z) < 6e-3);
}

TEST_CASE("end to end: one step from a Gaussian's curved flow lands on its mean") {
    cpu device(1);
    auto const z = normal<double>(device, {50, 3}, 1);
    gaussian_data<velocity> const net{mean, deviation};
    auto const x = sample(model{net, rectified_flow{}, velocity{}}, euler{.steps = 1}, z);
    for (index_t i = 0; i < x.size(); ++i) CHECK(x.data()[i] == doctest::Approx(mean).epsilon(1e-14));
}

TEST_CASE("end to end: data become the noise that they are made of") {
    cpu device(1);
    gaussian_data<velocity> const net{mean, deviation};
    auto const z = normal<double>(device, {50, 3}, 1);
    tensor<double, cpu> x = z;
    for (index_t i = 0; i < x.size(); ++i) x.data()[i] = mean + deviation * z.data()[i];
    solve(model{net, rectified_flow{}, velocity{}}, rk4{}, equal_times(0, 1, 100), x.view());
    CHECK(relative_to(x.to_host(), z.to_host()) < 1e-7);
}

TEST_CASE("end to end: samples of a Gaussian have its moments") {
    cpu device;
    index_t const n = 20'000;
    gaussian_data<velocity> const net{mean, deviation};
    auto const x = sample(model{net, rectified_flow{}, velocity{}}, heun{.steps = 30}, normal<float>(device, {n, 2}, 5));
    for (index_t c = 0; c < 2; ++c) {
        double first = 0, second = 0;
        for (index_t r = 0; r < n; ++r) {
            double const value = static_cast<double>(x.data()[2 * r + c]);
            first += value / static_cast<double>(n);
            second += (value - mean) * (value - mean) / static_cast<double>(n);
        }
        CHECK(std::fabs(first - mean) < 4 * deviation / std::sqrt(static_cast<double>(n)));
        CHECK(std::fabs(second / (deviation * deviation) - 1) < 4 * std::sqrt(2.0 / static_cast<double>(n)) + 0.005);
    }
}

TEST_CASE("end to end: distances tell the samples of a Gaussian from those of another") {
    cpu device;
    auto const from = [&](double at, double spread, std::uint64_t seed) {
        gaussian_data<velocity> const net{at, spread};
        return sample(model{net, rectified_flow{}, velocity{}}, heun{.steps = 20}, normal<float>(device, {3000, 2}, seed));
    };
    auto truth = normal<float>(device, {3000, 2}, 77);
    for (index_t i = 0; i < truth.size(); ++i)
        truth.data()[i] = static_cast<float>(mean + deviation * static_cast<double>(truth.data()[i]));
    CHECK(energy_distance(from(mean, deviation, 5), truth).squared < 1e-3);
    CHECK(sliced_wasserstein(from(mean, deviation, 5), truth) < 0.03);
    CHECK(energy_distance(from(mean + 0.15, deviation, 5), truth).squared > 5e-3);
    CHECK(sliced_wasserstein(from(mean + 0.15, deviation, 5), truth) > 0.1);
    CHECK(energy_distance(from(mean, 1.4 * deviation, 5), truth).squared > 5e-3);
    CHECK(sliced_wasserstein(from(mean, 1.4 * deviation, 5), truth) > 0.1);
}

}  // namespace gaussian_tests
