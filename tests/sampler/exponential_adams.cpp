#include <onestep/sampler/exponential_adams.hpp>

#include <onestep/sampler/dpm_solver_2m.hpp>

#include "golden.hpp"
#include "log_snr_solvers.hpp"

namespace exponential_adams_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("exponential_adams: converges at each of its orders, once the first steps are short") {
    for (auto what : {interpolated::data, interpolated::noise}) {
        check_order_on_mixtures(exponential_adams{.order = 1, .what = what}, 1, {48, 64, 96, 128, 192}, 1);
        check_order_on_mixtures(exponential_adams{.order = 2, .what = what}, 2, {96, 128, 192, 256, 384}, 1);
        check_order_on_mixtures(exponential_adams{.order = 3, .what = what}, 3, {96, 128, 192, 256, 384}, 2);
        check_order_on_mixtures(exponential_adams{.order = 4, .what = what}, 4, {384, 512, 768, 1024, 1536}, 2);
        check_order_on_gaussians(exponential_adams{.order = 3, .what = what}, 3, {96, 128, 192, 256, 384}, 2);
    }
}

TEST_CASE("exponential_adams: passes what solvers in log-SNR are held to") {
    check_log_snr_solver(exponential_adams{}, 1e-3);
    check_log_snr_solver(exponential_adams{.order = 4, .what = interpolated::noise}, 1e-3);
}

TEST_CASE("exponential_adams: integrates the polynomial of degree 3 through its last four predictions") {
    cpu device(1);
    gaussian_data<x0, edm> const net{0.3, 0.6, {}, {}};
    auto const clean = [](double x, double t) { return 0.3 + 0.36 * (x - 0.3) / (0.36 + t * t); };
    std::vector<double> const times{3, 2.4, 2.2, 1.5, 1.1, 0.9};
    for (auto what : {interpolated::data, interpolated::noise}) {
        tensor<double, cpu> x(device, {1, 1}, {1.7});
        solve(model{net, edm{}, x0{}}, exponential_adams{.order = 4, .what = what, .lower_order_final = false}, times, x.view());
        double state = 1.7;
        std::vector<double> lambda, said;  // of all steps so far
        for (std::size_t i = 0; i + 1 < times.size(); ++i) {
            double const t = times[i], s = times[i + 1], data = clean(state, t);
            bool const by_data = what == interpolated::data;
            lambda.push_back(-std::log(t));
            said.push_back(by_data ? data : (state - data) / t);
            std::size_t const first = i >= 3 ? i - 3 : 0;
            auto const polynomial = [&](double at) {
                double sum = 0;
                for (std::size_t j = first; j <= i; ++j) {
                    double term = said[j];
                    for (std::size_t m = first; m <= i; ++m)
                        if (m != j) term *= (at - lambda[m]) / (lambda[j] - lambda[m]);
                    sum += term;
                }
                return sum;
            };
            // x / sigma moves by the integral of exp(lambda) D, and x by minus that of exp(-lambda) epsilon: Simpson's rule
            int const parts = 2000;
            double const h = std::log(t / s) / parts;
            double sum = 0;
            for (int k = 0; k <= parts; ++k) {
                double const at = lambda[i] + k * h, weight = k == 0 || k == parts ? 1 : k % 2 ? 4 : 2;
                sum += weight * h / 3 * std::exp(by_data ? at : -at) * polynomial(at);
            }
            state = by_data ? s * (state / t + sum) : state - sum;
        }
        CHECK(x.data()[0] == doctest::Approx(state).epsilon(1e-12));
    }
}

TEST_CASE("exponential_adams: orders 1 and 2 are solvers with names of their own") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    std::vector<double> const times{1, 0.93, 0.8, 0.75, 0.5, 0.42, 0.4, 0.2, 0.15, 0.05, 0};
    auto const result = [&](auto const& solver) {
        tensor<double, cpu> x(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
        solve(flow, solver, times, x.view());
        return x.to_host();
    };
    CHECK(relative_to(result(exponential_adams{.order = 1}), result(ddim{})) < 1e-14);
    CHECK(relative_to(result(exponential_adams{.order = 1, .what = interpolated::noise}), result(ddim{})) < 1e-13);
    CHECK(relative_to(result(exponential_adams{.order = 2}), result(dpm_solver_2m{.form = second_order::heun})) < 1e-14);
    CHECK(relative_to(result(exponential_adams{.order = 2}), result(exponential_adams{.order = 2, .what = interpolated::noise})) > 1e-4);
}

TEST_CASE("exponential_adams: passes through the states of its peers") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DEISMultistepScheduler")) {
        exponential_adams const solver{.order = static_cast<int>(run.config.number("solver_order", 2)), .what = interpolated::noise};
        golden::check<double>(run, solver);
        golden::check<float>(run, solver);
        ++compared;
    }
    // the first DPM-Solver predicts noise; its orders 1 and 2 (heun) are these
    for (golden::recording const& run : golden::named("DPMSolverMultistepScheduler")) {
        if (run.config.text("algorithm_type") != "dpmsolver") continue;
        if (run.config.number("solver_order") == 1 || run.config.text("solver_type") == "heun") {
            golden::check<double>(
                run, exponential_adams{.order = static_cast<int>(run.config.number("solver_order")), .what = interpolated::noise});
            ++compared;
        }
    }
    for (golden::recording const& run : golden::named("DPMSolverMultistepScheduler"))
        if (run.config.number("solver_order") == 1 && run.config.text("algorithm_type", "dpmsolver++") == "dpmsolver++") {
            golden::check<double>(run, exponential_adams{.order = 1});
            ++compared;
        }
    CHECK(compared == 9);
}

TEST_CASE("exponential_adams: refuses an order outside its range") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, exponential_adams{.order = 5}, {1, 0}, x.view()),
                         "domain_error: exponential_adams: order is 5, it must be 1 to 4", domain_error);
    CHECK_THROWS_AS(solve(flow, exponential_adams{.order = 0}, {1, 0}, x.view()), domain_error);
}

TEST_CASE("exponential_adams: is a printable and comparable spec that remembers") {
    CHECK(to_string(exponential_adams{.steps = 8}) == "exponential_adams{steps = 8, order = 3, what = data, lower_order_final = true}");
    CHECK(exponential_adams{.steps = 8} == exponential_adams{.steps = 8});
    CHECK_FALSE(exponential_adams{} == exponential_adams{.what = interpolated::noise});
    CHECK(remembers<exponential_adams>());
}

}  // namespace exponential_adams_tests
