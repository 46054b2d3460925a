#include <onestep/sampler/dpm_solver_3s.hpp>

#include "log_snr_solvers.hpp"
#include "singlestep_golden.hpp"

namespace dpm_solver_3s_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("dpm_solver_3s: converges at order 3") {
    for (auto form : {second_order::midpoint, second_order::heun}) {
        check_order_on_mixtures(dpm_solver_3s{.form = form}, 3, {24, 32, 48, 64, 96}, 1);
        check_order_on_gaussians(dpm_solver_3s{.form = form}, 3, {24, 32, 48, 64, 96}, 1);
    }
    check_order_on_mixtures(dpm_solver_3s{}, 3, {24, 32, 48, 64, 96}, 2);
    check_order_on_mixtures(dpm_solver_3s{.first = 0.5}, 3, {24, 32, 48, 64, 96}, 1);
    check_order_on_mixtures(dpm_solver_3s{.first = 0.5, .second = 0.8}, 2, {96, 128, 192, 256}, 1);
}

TEST_CASE("dpm_solver_3s: passes what solvers in log-SNR are held to") {
    check_log_snr_solver(dpm_solver_3s{}, 1e-3);
    check_log_snr_solver(dpm_solver_3s{.form = second_order::heun}, 1e-3);
}

TEST_CASE("dpm_solver_3s: three evaluations a step, one in the last to the data") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK(solve(flow, dpm_solver_3s{}, equal_times(0.9, 0.1, 5), x.view()) == 15);
    CHECK(solve(flow, dpm_solver_3s{}, equal_times(0.9, 0, 5), x.view()) == 13);
    CHECK(solve(flow, dpm_solver_3s{}, {1, 0}, x.view()) == 1);
}

TEST_CASE("dpm_solver_3s: passes through the states of its peer, in groups of one to three") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DPMSolverSinglestepScheduler"))
        if (run.config.number("solver_order") != 2 && run.config.text("algorithm_type", "dpmsolver++") == "dpmsolver++") {
            golden::check_groups<double>(run);
            golden::check_groups<float>(run);
            ++compared;
        }
    CHECK(compared == 5);
}

TEST_CASE("dpm_solver_3s: refuses fractions outside their range") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, dpm_solver_3s{.first = 0.5, .second = 0.5}, {1, 0}, x.view()),
                         "domain_error: dpm_solver_3s: first is 0.5 and second is 0.5, 0 < first < second <= 1 is needed", domain_error);
    CHECK_THROWS_AS(solve(flow, dpm_solver_3s{.first = 0}, {1, 0}, x.view()), domain_error);
    CHECK_THROWS_AS(solve(flow, dpm_solver_3s{.second = 1.5}, {1, 0}, x.view()), domain_error);
    solve(flow, dpm_solver_3s{.second = 1}, {0.9, 0.5}, x.view());
    CHECK(x.data()[0] == doctest::Approx(0.25 + 0.5 * (1 - 0.05) / 0.9));
}

TEST_CASE("dpm_solver_3s: is a printable and comparable spec") {
    CHECK(to_string(dpm_solver_3s{.first = 0.25, .second = 0.5}) ==
          "dpm_solver_3s{steps = 7, first = 0.25, second = 0.5, form = midpoint}");
    CHECK(dpm_solver_3s{.steps = 8} == dpm_solver_3s{.steps = 8});
    CHECK_FALSE(dpm_solver_3s{} == dpm_solver_3s{.first = 0.4});
    CHECK_FALSE(remembers<dpm_solver_3s>());
}

}  // namespace dpm_solver_3s_tests
