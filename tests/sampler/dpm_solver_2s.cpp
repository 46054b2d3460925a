#include <onestep/sampler/dpm_solver_2s.hpp>

#include "golden.hpp"
#include "log_snr_solvers.hpp"
#include "singlestep_golden.hpp"

namespace dpm_solver_2s_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("dpm_solver_2s: converges at order 2 for every ratio") {
    for (auto form : {second_order::midpoint, second_order::heun})
        for (double ratio : {0.3, 0.5, 1.0}) {
            check_order_on_mixtures(dpm_solver_2s{.ratio = ratio, .form = form}, 2, {24, 32, 48, 64, 96}, 1);
            check_order_on_mixtures(dpm_solver_2s{.ratio = ratio, .form = form}, 2, {24, 32, 48, 64, 96}, 2);
        }
    check_order_on_gaussians(dpm_solver_2s{}, 2, {24, 32, 48, 64, 96}, 1);
}

TEST_CASE("dpm_solver_2s: passes what solvers in log-SNR are held to") { check_log_snr_solver(dpm_solver_2s{}, 1e-3); }

TEST_CASE("dpm_solver_2s: one step by hand") {
    cpu device(1);
    gaussian_data<x0, edm> const net{0.3, 0.6, {}, {}};
    auto const clean = [](double x, double t) { return 0.3 + 0.36 * (x - 0.3) / (0.36 + t * t); };  // of N(0.3, 0.6^2)
    double const from = 2, to = 0.5, start[] = {0.9, -1.4};
    for (double r : {0.25, 0.5, 1.0}) {
        CAPTURE(r);
        tensor<double, cpu> x(device, {1, 2}, {start[0], start[1]});
        CHECK(solve(model{net, edm{}, x0{}}, dpm_solver_2s{.ratio = r}, {from, to}, x.view()) == 2);
        double const middle = from * std::pow(to / from, r);
        for (int i = 0; i < 2; ++i) {
            double const here = clean(start[i], from), y = middle / from * start[i] + (1 - middle / from) * here;
            double const there = clean(y, middle);
            CHECK(x.data()[i] ==
                  doctest::Approx(to / from * start[i] + (1 - to / from) * (here + (there - here) / (2 * r))).epsilon(1e-14));
        }
    }
}

TEST_CASE("dpm_solver_2s: two evaluations a step, one in the last to the data") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK(solve(flow, dpm_solver_2s{}, equal_times(0.9, 0.1, 5), x.view()) == 10);
    CHECK(solve(flow, dpm_solver_2s{}, equal_times(0.9, 0, 5), x.view()) == 9);
    CHECK(solve(flow, dpm_solver_2s{}, equal_times(1, 0, 5), x.view()) == 8);  // nor is there a middle after alpha = 0
    CHECK(solve(flow, dpm_solver_2s{}, {1, 0}, x.view()) == 1);
}

TEST_CASE("dpm_solver_2s: passes through the states of its peers") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DPMSolverSinglestepScheduler"))
        if (run.config.number("solver_order") == 2 && run.config.text("algorithm_type", "dpmsolver++") == "dpmsolver++") {
            golden::check_groups<double>(run);
            golden::check_groups<float>(run);
            ++compared;
        }
    for (golden::recording const& run : golden::named("sample_dpmpp_2s_ancestral"))
        if (run.step.number("eta") == 0) {
            golden::check<double>(run, dpm_solver_2s{});
            golden::check<float>(run, dpm_solver_2s{});
            ++compared;
        }
    CHECK(compared == 4);
}

TEST_CASE("dpm_solver_2s: refuses a ratio outside its range") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, dpm_solver_2s{.ratio = 0}, {1, 0}, x.view()),
                         "domain_error: dpm_solver_2s: ratio is 0, it must be in (0, 1]", domain_error);
    CHECK_THROWS_AS(solve(flow, dpm_solver_2s{.ratio = 1.01}, {1, 0}, x.view()), domain_error);
    CHECK_THROWS_AS(solve(flow, dpm_solver_2s{.ratio = NAN}, {1, 0}, x.view()), domain_error);
}

TEST_CASE("dpm_solver_2s: is a printable and comparable spec") {
    CHECK(to_string(dpm_solver_2s{.steps = 8}) == "dpm_solver_2s{steps = 8, ratio = 0.5, form = midpoint}");
    CHECK(dpm_solver_2s{.steps = 8} == dpm_solver_2s{.steps = 8});
    CHECK_FALSE(dpm_solver_2s{} == dpm_solver_2s{.ratio = 0.4});
    CHECK_FALSE(remembers<dpm_solver_2s>());
}

}  // namespace dpm_solver_2s_tests
