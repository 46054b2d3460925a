#pragma once
/// What every solver in half log-SNR is held to.
#include <doctest/doctest.h>

#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/ddim.hpp>
#include <onestep/sampler/limits.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/trailing_grid.hpp>

#include "../counting_allocator.hpp"
#include "../exact_models.hpp"

namespace onestep::test {

/// n + 1 times from one to another whose half log-SNR goes like (i / n)^power: equal steps with power 1; with power 2 the first
/// steps, which are of lower order, are short.
template <class Process> std::vector<double> graded_times(Process const& process, double from, double to, int n, double power) {
    double const start = process.log_snr(from), end = process.log_snr(to);
    std::vector<double> times{from};
    for (int i = 1; i < n; ++i) times.push_back(process.time_of_log_snr(start + (end - start) * std::pow(double(i) / n, power)));
    times.push_back(to);
    return times;
}

/// The order that errors on a graded grid show, against the exact flow of a mixture (many steps of rk4 on the best-behaved target).
template <class Target, class Process, class Solver>
double order_on_mixture(Solver const& solver, Process const& process, double from, double to, std::vector<int> const& steps, double power) {
    cpu device(1);
    tensor<double, cpu> const start(device, {4, 2}, {0.4, 0.3, -0.9, 0.8, -0.2, -1.1, 1.3, -0.7});
    tensor<double, cpu> exact = start;
    model const reference{mixture_data<v_prediction, Process>{three_clusters(), {}, process}, process, v_prediction{}};
    solve(reference, rk4{}, graded_times(process, from, to, 3000, 1), exact.view());
    model const asked{mixture_data<Target, Process>{three_clusters(), {}, process}, process, Target{}};
    std::vector<double> errors;
    for (int n : steps) {
        tensor<double, cpu> x = start;
        solve(asked, solver, graded_times(process, from, to, n, power), x.view());
        double worst = 0;
        for (index_t i = 0; i < x.size(); ++i) worst = std::fmax(worst, std::fabs(x.data()[i] - exact.data()[i]));
        errors.push_back(worst);
    }
    return fitted_order(steps, errors);
}
/// The same on a Gaussian, against its closed form.
template <class Target, class Process, class Solver>
double order_on_gaussian(Solver const& solver, Process const& process, double from, double to, std::vector<int> const& steps,
                         double power) {
    cpu device(1);
    gaussian_data<Target, Process> const net{0.3, 0.5, {}, process};
    tensor<double, cpu> const start(device, {2, 3}, {0.7, -1.2, 2.1, 0.1, -0.4, 1.5});
    std::vector<double> errors;
    for (int n : steps) {
        tensor<double, cpu> x = start;
        solve(model{net, process, Target{}}, solver, graded_times(process, from, to, n, power), x.view());
        double worst = 0;
        for (index_t i = 0; i < x.size(); ++i) worst = std::fmax(worst, std::fabs(x.data()[i] - net.flow(start.data()[i], from, to)));
        errors.push_back(worst);
    }
    return fitted_order(steps, errors);
}

/// Checks an order on mixtures: several processes and targets, towards the data and back.
template <class Solver> void check_order_on_mixtures(Solver const& solver, double order, std::vector<int> const& steps, double power) {
    std::string const of = to_string(solver);
    CAPTURE(of);
    CAPTURE(power);
    auto const close = [&](double found) { CHECK(std::fabs(found - order) < 0.15); };
    close(order_on_mixture<v_prediction>(solver, trigonometric_flow{}, 1.4, 0.4, steps, power));
    close(order_on_mixture<x0>(solver, edm{}, 3, 0.4, steps, power));
    close(order_on_mixture<epsilon>(solver, variance_preserving{}, 0.2, 0.5, steps, power));
    close(order_on_mixture<velocity>(solver, rectified_flow{}, 0.4, 0.9, steps, power));
}
/// The same on Gaussians, where the errors of some methods cross zero.
template <class Solver> void check_order_on_gaussians(Solver const& solver, double order, std::vector<int> const& steps, double power) {
    std::string const of = to_string(solver);
    CAPTURE(of);
    CAPTURE(power);
    auto const close = [&](double found) { CHECK(std::fabs(found - order) < 0.15); };
    close(order_on_gaussian<x0>(solver, rectified_flow{}, 0.9, 0.4, steps, power));
    close(order_on_gaussian<velocity>(solver, edm{}, 3, 1, steps, power));
}

/// A network that always says the same x0.
struct one_point {
    double point;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu>, view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<T>(point);
    }
};

/// At the data x is the last D, to the bit; before, for one point, it is alpha_s x0 + sigma_s epsilon with the epsilon of the start.
template <class Solver> void check_constant_prediction(Solver const& solver) {
    cpu device(1);
    auto const on = [&](auto const& process, double from, double middle) {
        model const flow{one_point{0.375}, process, x0{}};
        for (int steps : {1, 2, 3, 4, 7, 20}) {
            CAPTURE(steps);
            std::vector<double> const start{1, -2, 3, 0.5};
            tensor<double, cpu> x(device, {2, 2}, start);
            solve(flow, solver, equal_times(from, 0, steps), x.view());
            CHECK(x.to_host() == std::vector<double>(4, 0.375));
            x = tensor<double, cpu>(device, {2, 2}, start);
            solve(flow, solver, equal_times(from, middle, steps), x.view());
            for (std::size_t i = 0; i < 4; ++i) {
                double const noise = (start[i] - process.alpha(from) * 0.375) / process.sigma(from);
                CHECK(x.data()[i] == doctest::Approx(process.alpha(middle) * 0.375 + process.sigma(middle) * noise).epsilon(1e-12));
            }
        }
    };
    on(rectified_flow{}, 1, 0.25);  // alpha = 0 at the start
    on(rectified_flow{}, 0.8, 0.1);
    on(variance_preserving{}, 1, 0.3);
    on(edm{}, 80, 0.5);
    on(trigonometric_flow{}, 1.5, 0.5);
}

/// With no signal at the start the first step is DDIM's, and the run goes where the flow goes.
template <class Solver> void check_zero_terminal_snr(Solver const& solver, double error) {
    cpu device(1);
    discrete const process{zero_terminal_snr{}};
    model const flow{mixture_data<v_prediction, discrete<zero_terminal_snr<>>>{three_clusters(), {}, process}, process, v_prediction{}};
    std::vector<double> const times = times_of(trailing_grid{}, process, 50);
    REQUIRE(process.alpha(times[0]) == 0);
    tensor<double, cpu> const start(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
    tensor<double, cpu> x = start, y = start;
    solve(flow, solver, {times[0], times[1]}, x.view());
    solve(flow, ddim{}, {times[0], times[1]}, y.view());
    CHECK(relative_to(x.to_host(), y.to_host()) < 1e-15);
    x = start, y = start;
    solve(flow, solver, times, x.view());
    solve(flow, ddim{}, times_of(trailing_grid{}, process, 1000), y.view());
    CHECK(relative_to(x.to_host(), y.to_host()) < error);
}

/// Every level of a table, float and double.
template <class Solver> void check_all_levels(Solver const& solver, double error) {
    cpu device(1);
    discrete const process;
    model const flow{mixture_data<epsilon, discrete<>>{three_clusters(), {}, process}, process, epsilon{}};
    std::vector<double> const times = times_of(trailing_grid{}, process, 1000);
    tensor<double, cpu> const start(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
    tensor<double, cpu> x = start, exact = start;
    CHECK(solve(flow, solver, times, x.view()) >= 1000);
    solve(flow, rk4{}, equal_times(times.front(), 1, 4000), exact.view());
    solve(flow, ddim{}, {1, 0}, exact.view());
    CHECK(relative_to(x.to_host(), exact.to_host()) < error);
    tensor<float, cpu> single(device, {2, 2}, {0.4f, -1.3f, 0.9f, 0.2f});
    solve(flow, solver, times, single.view());
    for (index_t i = 0; i < 4; ++i) CHECK(std::fabs(static_cast<double>(single.data()[i]) - x.data()[i]) < 3e-4);
}

/// A run may start anew at any time: what came before is forgotten. `solve` and `sampling` agree.
template <class Solver> void check_fresh_start(Solver const& solver) {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    std::vector<double> const times{1, 0.93, 0.8, 0.75, 0.5, 0.42, 0.4, 0.2, 0.15, 0.05, 0};
    tensor<double, cpu> const start(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
    tensor<double, cpu> expected = start, x = start;
    solve(flow, solver, times, expected.view(), random_key{4});
    sampling run(flow, solver, times, x.view(), random_key{4});
    for (int stop : {1, 2, 3, 5, 9, 10}) {
        CAPTURE(stop);
        for (int i = 0; i < stop; ++i) run.advance();
        run.begin();
        for (index_t i = 0; i < 4; ++i) x.data()[i] = start.data()[i];
        while (run.advance()) {
        }
        CHECK(x.to_host() == expected.to_host());
        run.begin();
        for (index_t i = 0; i < 4; ++i) x.data()[i] = start.data()[i];
    }
}

/// Row r depends on row r and on its sample alone, to the bit, on one thread or two; also where x0 is clipped.
template <class Solver> void check_rows_alone(Solver const& solver) {
    auto const result = [&](int threads, index_t first, index_t rows, auto type, bool clipped) {
        using T = decltype(type);
        cpu device(threads);
        model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
        tensor<T, cpu> x(device, {rows, 2});
        fill_normal(x.view(), random_key{8, 0, static_cast<std::uint64_t>(first)}.at(draw::user));
        random_key const key{5, 0, static_cast<std::uint64_t>(first)};
        if (clipped) solve(limited{flow, clip{-1, 1}}, solver, equal_times(1, 0, 6), x.view(), key);
        else solve(flow, solver, equal_times(1, 0.02, 6), x.view(), key);
        return x.to_host();
    };
    auto const check = [&](auto type, bool clipped) {
        auto const all = result(1, 0, 64, type, clipped);
        CHECK(result(2, 0, 64, type, clipped) == all);
        CHECK(result(2, 20, 7, type, clipped) == std::vector(all.begin() + 40, all.begin() + 54));
        for (index_t r : {0, 9, 63}) CHECK(result(1, r, 1, type, clipped) == std::vector(all.begin() + 2 * r, all.begin() + 2 * r + 2));
        if (clipped)
            for (auto value : all) CHECK((value >= -1 && value <= 1));
    };
    check(float{}, false);
    check(double{}, true);
}

/// A warm run allocates nothing.
template <class Solver> void check_no_allocation(Solver const& solver) {
    if (!counts_allocations) return;
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {8, 4}, std::vector<float>(32, 1));
    std::vector<double> const times = equal_times(1, 0, 6);
    for (int k = 0; k < 3; ++k) solve(flow, solver, times, x.view());
    std::size_t const before = allocations();
    solve(flow, solver, times, x.view());
    CHECK(allocations() == before);
}

/// Steps in log-SNR have no start at sigma = 0.
template <class Solver> void check_refuses_no_noise(Solver const& solver) {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(
        solve(flow, solver, {0, 0.5}, x.view()),
        (std::string("domain_error: ") + Solver::name +
         ": a step starts at t = 0 with sigma = 0, steps in log-SNR start where there is noise; begin an inversion at a later time")
            .c_str(),
        domain_error);
    CHECK(x.to_host() == std::vector<float>{1, 2});
}

/// The noise is found again on the way back, better with more steps.
template <class Solver> void check_inversion(Solver const& solver, double error) {
    cpu device(1);
    variance_preserving const process;
    model const flow{mixture_data<v_prediction, variance_preserving<>>{three_clusters(), {}, process}, process, v_prediction{}};
    tensor<double, cpu> const start(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
    tensor<double, cpu> x = start;
    solve(flow, solver, graded_times(process, 0.9, 0.05, 100, 1), x.view());
    CHECK(relative_to(x.to_host(), start.to_host()) > 0.05);
    solve(flow, solver, graded_times(process, 0.05, 0.9, 100, 1), x.view());
    CHECK(relative_to(x.to_host(), start.to_host()) < error);
}

/// All of the above for a deterministic solver.
template <class Solver> void check_log_snr_solver(Solver const& solver, double error) {
    CAPTURE(to_string(solver));
    check_constant_prediction(solver);
    check_zero_terminal_snr(solver, 0.02);
    check_all_levels(solver, error);
    check_fresh_start(solver);
    check_rows_alone(solver);
    check_no_allocation(solver);
    check_refuses_no_noise(solver);
    check_inversion(solver, 0.02);
}

}  // namespace onestep::test
