#pragma once
/// Checks for solvers that add noise.
#include <doctest/doctest.h>

#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"
#include "golden.hpp"

namespace onestep::test {

/// A step on Gaussian data is affine: x_s = a x_t + b + d z.
struct affine_law {
    double a = 1, b = 0, d = 0;
};

/// The law of every step of a run, measured from outside: four elements with known x and known z are one more than needed, and the
/// last one checks that the step is affine indeed.
template <class Model, class Solver>
std::vector<affine_law> laws_of(Model const& model, Solver const& solver, std::vector<double> const& times) {
    cpu device(1);
    random_key const key{5};
    tensor<double, cpu> x(device, {1, 4}), z(device, {1, 4});
    sampling run(model, solver, times, x.view(), key);
    std::vector<affine_law> laws;
    while (!run.done()) {
        double const before[] = {0, 1, 0, -2};
        for (int i = 0; i < 4; ++i) x.data()[i] = before[i];
        fill_normal(z.view(), key.at_step(static_cast<std::uint64_t>(run.step())).at(draw::solver));
        run.advance();
        double const *out = x.data(), *noise = z.data();
        double const d = (out[2] - out[0]) / (noise[2] - noise[0]), b = out[0] - d * noise[0], a = out[1] - b - d * noise[1];
        CHECK(std::fabs(-2 * a + b + d * noise[3] - out[3]) < 1e-11 * (1 + std::fabs(out[3])));
        laws.push_back({a, b, d});
    }
    return laws;
}

struct moments {
    double mean, variance;
};

/// Mean and variance of x at the end of a run that starts with given ones: exact, without sampling.
template <class Model, class Solver>
moments propagate(Model const& model, Solver const& solver, std::vector<double> const& times, moments start) {
    for (affine_law const& law : laws_of(model, solver, times))
        start = {law.a * start.mean + law.b, law.a * law.a * start.variance + law.d * law.d};
    return start;
}

/// Mean and variance of x_s for data N(0.3, 0.5^2) where x_t starts with given ones, by the SDE
/// dx = [f x - (1 + eta^2)/2 g^2 score] dt + eta g dw. It is linear: with V the variance of x_t for these data, differences from
/// the marginal's mean and variance shrink by A and A^2,
///
///     A = (alpha_t/alpha_s)^(eta^2) (V_s/V_t)^((1 + eta^2)/2)
template <class Process> moments exact_moments(Process const& p, double t, double s, moments start, double eta) {
    auto const variance = [&](double time) { return 0.25 * p.alpha(time) * p.alpha(time) + p.sigma(time) * p.sigma(time); };
    double const square = eta * eta;
    double const a = std::pow(p.alpha(t) / p.alpha(s), square) * std::pow(variance(s) / variance(t), (1 + square) / 2);
    return {0.3 * p.alpha(s) + a * (start.mean - 0.3 * p.alpha(t)), variance(s) + a * a * (start.variance - variance(t))};
}

/// The larger error of mean and variance falls with the stated order, from a start that is not the marginal: only the
/// right SDE, not just any with the right marginals, ends there.
template <class Target, class Process, class Solver>
void check_weak_order_on(Process const& process, Solver const& solver, double eta, double from, double to, double order) {
    std::string const on = Process::name, of = Target::name;
    CAPTURE(on);
    CAPTURE(of);
    std::vector<int> const steps{64, 96, 128, 192, 256, 384};
    model const exact{gaussian_data<Target, Process>{0.3, 0.5, {}, process}, process, Target{}};
    double const variance = 0.25 * process.alpha(from) * process.alpha(from) + process.sigma(from) * process.sigma(from);
    moments const start{0.3 * process.alpha(from) + 0.6 * std::sqrt(variance), 1.3 * variance};
    moments const wanted = exact_moments(process, from, to, start, eta);
    std::vector<double> errors;
    for (int n : steps) {
        moments const found = propagate(exact, solver, equal_times(from, to, n), start);
        errors.push_back(std::fmax(std::fabs(found.mean - wanted.mean), std::fabs(found.variance - wanted.variance)));
    }
    CAPTURE(errors.front());
    CAPTURE(errors.back());
    CHECK(std::fabs(fitted_order(steps, errors) - order) < 0.15);
}

/// On five processes. `eta`: of the SDE that the solver follows.
template <class Solver> void check_weak_order(Solver const& solver, double eta, double order = Solver::order) {
    std::string const by = to_string(solver);
    CAPTURE(by);
    check_weak_order_on<epsilon>(variance_preserving<>{}, solver, eta, 0.6, 0.1, order);
    check_weak_order_on<x0>(edm{}, solver, eta, 3, 0.4, order);
    check_weak_order_on<velocity>(rectified_flow{}, solver, eta, 0.9, 0.2, order);
    check_weak_order_on<v_prediction>(trigonometric_flow{0.8}, solver, eta, 1.2, 0.3, order);
    check_weak_order_on<epsilon>(variance_exploding{0.05, 5}, solver, eta, 1, 0.4, order);
}

/// Rows of a batch of `n` do not depend on each other, on the batch or on the number of threads, bit for bit.
template <class Solver, class Process = rectified_flow>
void check_rows_are_independent(Solver const& solver, std::vector<double> const& times, Process const& process = {}) {
    model const flow{gaussian_data<velocity, Process>{0.3, 0.5, {}, process}, process, velocity{}};
    for (index_t cols : {1, 5, 150}) {  // 64 x 150 elements are shared among threads
        CAPTURE(cols);
        cpu one(1), two(2);
        tensor<float, cpu> const start = normal<float>(one, {64, cols}, 3);
        tensor<float, cpu> all = start;
        solve(flow, solver, times, all.view(), {7, 0, 100});
        std::vector<float> const wanted = all.to_host();
        tensor<float, cpu> shared(two, {64, cols}, start.to_host());
        solve(flow, solver, times, shared.view(), {7, 0, 100});
        CHECK(shared.to_host() == wanted);
        for (index_t size : {1, 7}) {
            tensor<float, cpu> parts = start;
            for (index_t first = 0; first < 64; first += size)
                solve(flow, solver, times, parts.view().rows(first, std::min<index_t>(size, 64 - first)),
                      {7, 0, 100 + static_cast<std::uint64_t>(first)});
            CHECK(parts.to_host() == wanted);
        }
        tensor<float, cpu> other = start;
        solve(flow, solver, times, other.view(), {8, 0, 100});
        CHECK(other.to_host() != wanted);  // another seed, other noise
    }
}

/// Samples of the three clusters have their moments. Each of the five numbers may be off by five standard errors, which chance
/// alone exceeds with probability 5.7e-7, and by `bias` for the finite number of steps: a false alarm in one of 300,000 seeds.
template <class Target, class Process, class Solver, class Grid = uniform_grid>
void check_distribution(Process const& process, Solver const& solver, double bias, Grid const& grid = {}) {
    std::string const on = Process::name, by = to_string(solver);
    CAPTURE(on);
    CAPTURE(by);
    index_t const n = 4000;
    cpu device;
    mixture const data = three_clusters();
    model const exact{mixture_data<Target, Process>{data, {}, process}, process, Target{}};
    tensor<double, cpu> const x = sample(exact, solver, normal<double>(device, {n, 2}, 21), grid, random_key{22});
    auto const check = [&](auto const& value, double wanted) {
        double sum = 0, squares = 0;
        for (index_t r = 0; r < n; ++r) {
            double const v = value(x.data()[2 * r], x.data()[2 * r + 1]);
            sum += v;
            squares += v * v;
        }
        double const count = static_cast<double>(n), mean = sum / count;
        CHECK(std::fabs(mean - wanted) < 5 * std::sqrt((squares / count - mean * mean) / count) + bias);
    };
    auto const [first, second] = data.mean();
    auto const [xx, yy, xy] = data.second_moments();
    check([](double a, double) { return a; }, first);
    check([](double, double b) { return b; }, second);
    check([](double a, double) { return a * a; }, xx);
    check([](double, double b) { return b * b; }, yy);
    check([](double a, double b) { return a * b; }, xy);
}

/// sigma / alpha where a run of a discrete process steps, from 1000 to 0 one by one.
template <class Process> std::vector<double> all_levels(Process const& p) {
    std::vector<double> levels;
    for (int t = p.steps(); t >= 0; --t) levels.push_back(noise_to_signal(p, t));
    return levels;
}

/// A run of the golden file of which few states were kept, with the file's noise in the place of ours: `noise(t, s)` is the coefficient
/// of a step. The last step has none.
template <class Solver, class Noise, class... Limits>
void check_long_run(golden::recording const& run, Solver const& solver, std::vector<double> const& levels, Noise const& noise,
                    Limits const&... limits) {
    std::string const of = run.text();
    CAPTURE(of);
    cpu device(1);
    golden::plan const steps = golden::plan_of(run, levels);
    random_key const key{11};
    golden::detail::with_model(
        run,
        [&](auto const& model) {
            tensor<double, cpu> x = golden::detail::state<double>(device, run.start);
            sampling ours(model, solver, steps.times, x.view(), key);
            int compared = 0;
            for (int i = 0; !ours.done(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                ours.advance();
                if (!ours.done()) {
                    tensor<double, cpu> const z = golden::detail::our_noise<double>(device, key, i);
                    double const d = noise(steps.times[at], steps.times[at + 1]);
                    for (std::size_t k = 0; k < 4; ++k) x.data()[k] += d * (golden::detail::file_noise(i)[k] - z.data()[k]);
                }
                if (steps.state[at] < 0) continue;
                CAPTURE(i);
                CHECK(golden::detail::difference(x.data(), run.x[static_cast<std::size_t>(steps.state[at])]) <=
                      golden::detail::tolerance<double>(run));
                ++compared;
            }
            CHECK(compared == static_cast<int>(run.x.size()));
        },
        limits...);
}

/// On any process the run is that of EDM's in x / alpha, at equal sigma / alpha and with the same noise.
template <class Solver, class Process> void check_same_on_edm(Solver const& solver, Process const& process) {
    std::string const on = Process::name, by = to_string(solver);
    CAPTURE(on);
    CAPTURE(by);
    cpu device(1);
    std::vector<double> levels{6, 3, 1.2, 0.5, 0.1, 0}, times;
    for (double level : levels) times.push_back(time_of_noise_to_signal(process, level));
    tensor<double, cpu> const start(device, {4, 2}, {0.4, 3, -9, 0.8, -0.2, -1.1, 5, -0.7});
    tensor<double, cpu> x = start, y = start;
    for (index_t i = 0; i < x.size(); ++i) x.data()[i] *= process.alpha(times.front());
    auto const data = three_clusters();
    solve(model{mixture_data<v_prediction, Process>{data, {}, process}, process, v_prediction{}}, solver, times, x.view(), {3});
    solve(model{mixture_data<x0, edm>{data, {}, edm{}}, edm{}, x0{}}, solver, levels, y.view(), {3});
    CHECK(relative_to(x.to_host(), y.to_host()) < 1e-10);
}

/// From a zero terminal SNR to the data in 1, 2 and 5 steps: the data of one point are found exactly.
template <class Solver> void check_ends(Solver const& solver) {
    cpu device(1);
    auto const at_point = [](auto x, auto, auto y) {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = 0.375f;
    };
    model const flow{at_point, rectified_flow{}, x0{}};
    for (int steps : {1, 2, 5}) {
        CAPTURE(steps);
        tensor<float, cpu> x(device, {2, 2}, {1, -2, 3, 0.5f});
        solve(flow, solver, equal_times(1, 0, steps), x.view());
        CHECK(x.to_host() == std::vector<float>(4, 0.375f));
    }
}

/// Evaluations of a run from t = 1 to 0 of rectified flow.
template <class Solver> index_t evaluations(Solver const& solver, int steps) {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 0.6}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {5, 2}, std::vector<float>(10, 0.5f));
    return solve(flow, solver, equal_times(1, 0, steps), x.view());
}

/// A warm run allocates nothing.
template <class Solver> void check_allocates_nothing(Solver const& solver) {
    if (!counts_allocations) return;
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 0.6}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x = normal<float>(device, {16, 6}, 9);
    std::vector<double> const times = equal_times(1, 0, 4);
    for (int k = 0; k < 3; ++k) solve(flow, solver, times, x.view());
    std::size_t const before = allocations();
    solve(flow, solver, times, x.view());
    CHECK(allocations() - before == 0);
}

/// A run towards the noise is refused before x is touched.
template <class Solver> void check_refuses_inversion(Solver const& solver, char const* text) {
    cpu device(1);
    model const flow{gaussian_data<velocity>{0.3, 0.6}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, solver, {0.25, 0.5}, x.view()), text, domain_error);
    CHECK(x.to_host() == std::vector<float>{1, 2});
}

}  // namespace onestep::test
