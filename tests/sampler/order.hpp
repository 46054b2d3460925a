#pragma once
/// Measures a solver's order.
#include <doctest/doctest.h>

#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/sampler/sample.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>

#include "../exact_models.hpp"

namespace onestep::test {

/// Largest error of a solver at each number of steps from `from` to `to`, against given results.
template <class Model, class Solver>
std::vector<double> errors(Model const& model, Solver const& solver, double from, double to, std::vector<int> const& steps,
                           tensor<double, cpu> const& start, std::vector<double> const& exact) {
    std::vector<double> errors;
    for (int n : steps) {
        tensor<double, cpu> x = start;
        solve(model, solver, equal_times(from, to, n), x.view());
        double worst = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) worst = std::fmax(worst, std::fabs(x.data()[i] - exact[i]));
        errors.push_back(worst);
    }
    return errors;
}

/// Checks a solver's order on a Gaussian against its closed form, from `from` to `to`, on any process.
template <class Target, class Process = rectified_flow, class Solver>
void check_order_on_gaussian(Solver const& solver, double from, double to, std::vector<int> const& steps, Process const& process = {}) {
    CAPTURE(std::string(Process::name));
    CAPTURE(std::string(Target::name));
    CAPTURE(from);
    cpu device(1);
    gaussian_data<Target, Process> const net{0.3, 0.5, {}, process};
    tensor<double, cpu> const start(device, {2, 3}, {0.7, -1.2, 2.1, 0.1, -0.4, 1.5});
    std::vector<double> exact;
    for (double x : start.to_host()) exact.push_back(net.flow(x, from, to));
    auto const found = errors(model{net, process, Target{}}, solver, from, to, steps, start, exact);
    CAPTURE(found.front());
    CAPTURE(found.back());
    CHECK(std::fabs(fitted_order(steps, found) - Solver::order) < 0.15);
}

/// The same on a mixture of three clusters, whose velocity is not linear in x, against many steps of rk4.
template <class Target, class Process = rectified_flow, class Solver>
void check_order_on_mixture(Solver const& solver, double from, double to, std::vector<int> const& steps, Process const& process = {}) {
    CAPTURE(std::string(Process::name));
    CAPTURE(std::string(Target::name));
    CAPTURE(from);
    cpu device(1);
    tensor<double, cpu> const start(device, {4, 2}, {0.4, 0.3, -0.9, 0.8, -0.2, -1.1, 1.3, -0.7});
    tensor<double, cpu> exact = start;
    model const reference{mixture_data<v_prediction, Process>{three_clusters(), {}, process}, process, v_prediction{}};
    solve(reference, rk4{}, equal_times(from, to, 4000), exact.view());
    auto const found = errors(model{mixture_data<Target, Process>{three_clusters(), {}, process}, process, Target{}}, solver, from, to,
                              steps, start, exact.to_host());
    CAPTURE(found.front());
    CAPTURE(found.back());
    CHECK(std::fabs(fitted_order(steps, found) - Solver::order) < 0.15);
}

/// Other processes than rectified flow, each on a stretch where nothing is stiff, from noise to data and, for solvers that
/// go there, back.
template <class Solver> void check_order_on_processes(Solver const& solver, std::vector<int> const& steps, bool both_directions = true) {
    auto const on = [&](auto const& process, double noisy, double clean) {
        using process_type = std::remove_cvref_t<decltype(process)>;
        check_order_on_gaussian<v_prediction, process_type>(solver, noisy, clean, steps, process);
        check_order_on_gaussian<x0, process_type>(solver, noisy, clean, steps, process);
        check_order_on_mixture<epsilon, process_type>(solver, noisy, clean, steps, process);
        if (both_directions) check_order_on_mixture<v_prediction, process_type>(solver, clean, noisy, steps, process);
    };
    on(variance_preserving{}, 0.6, 0.05);
    on(edm{}, 3, 0.25);
    on(trigonometric_flow{}, 1.4, 0.1);
}

/// All targets, from noise to data and back, on four processes. x0 and epsilon say nothing about the velocity at t = 0 and
/// 1 of rectified flow, so their grids keep away from these.
template <class Solver> void check_order(Solver const& solver, std::vector<int> const& steps) {
    check_order_on_gaussian<velocity>(solver, 1, 0, steps);
    check_order_on_gaussian<velocity>(solver, 0, 1, steps);
    check_order_on_gaussian<x0>(solver, 0.95, 0.1, steps);
    check_order_on_gaussian<x0>(solver, 0.1, 0.95, steps);
    check_order_on_gaussian<epsilon>(solver, 0.95, 0.1, steps);
    check_order_on_gaussian<epsilon>(solver, 0.1, 0.95, steps);
    check_order_on_mixture<velocity>(solver, 1, 0, steps);
    check_order_on_mixture<velocity>(solver, 0, 1, steps);
    check_order_on_mixture<x0>(solver, 0.95, 0.1, steps);
    check_order_on_mixture<epsilon>(solver, 0.1, 0.95, steps);
    check_order_on_processes(solver, steps);
}

/// A straight flow towards one point, told as x0: F = point whatever x and t are.
struct point_data {
    double point;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu>, view<T, cpu> y) const {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = static_cast<T>(point);
    }
};

/// A network that counts its calls and the rows of all of them.
template <class Network> struct counting {
    Network net;
    int* calls;
    index_t* rows;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const {
        ++*calls;
        *rows += x.rows();
        net(x, t, y);
    }
};

/// Checks that a solver's calls are counted, over `steps` steps that all have a velocity at both ends.
template <class Solver> void check_evaluations(Solver const& solver, int steps, int expected) {
    cpu device(1);
    int calls = 0;
    index_t rows = 0;
    model const flow{counting<gaussian_data<velocity>>{{0.3, 0.6}, &calls, &rows}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {5, 2}, std::vector<float>(10, 0.5f));
    CHECK(solve(flow, solver, equal_times(1, 0, steps), x.view()) == expected);
    CHECK(calls == expected);
    CHECK(rows == 5 * expected);
}

}  // namespace onestep::test
