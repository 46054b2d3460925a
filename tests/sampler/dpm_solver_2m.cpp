#include <onestep/sampler/dpm_solver_2m.hpp>

#include "golden.hpp"
#include "log_snr_solvers.hpp"

namespace dpm_solver_2m_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("dpm_solver_2m: converges at order 2, on equal and on unequal steps") {
    for (auto form : {second_order::midpoint, second_order::heun})
        for (double power : {1.0, 2.0}) {
            check_order_on_mixtures(dpm_solver_2m{.form = form}, 2, {48, 64, 96, 128, 192}, power);
            check_order_on_gaussians(dpm_solver_2m{.form = form}, 2, {48, 64, 96, 128, 192}, power);
        }
}

TEST_CASE("dpm_solver_2m: passes what solvers in log-SNR are held to") { check_log_snr_solver(dpm_solver_2m{}, 1e-3); }

TEST_CASE("dpm_solver_2m: passes through the states of its peers") {
    int compared = 0;
    for (char const* name : {"DPMSolverMultistepScheduler", "EDMDPMSolverMultistepScheduler", "sample_dpmpp_2m"})
        for (golden::recording const& run : golden::named(name)) {
            std::string const type = run.config.text("algorithm_type", "dpmsolver++");
            if (run.config.number("solver_order", 2) != 2 || type != "dpmsolver++" || run.steps > 50) continue;
            dpm_solver_2m const solver{
                .form = run.config.text("solver_type") == "heun" ? second_order::heun : second_order::midpoint,
                .lower_order_final = run.config.flag("lower_order_final", run.package == "diffusers") && !golden::plan_of(run).shorter};
            ++compared;
            if (run.config.flag("thresholding")) {
                dynamic_threshold const limits{run.config.number("dynamic_thresholding_ratio"), run.config.number("sample_max_value")};
                golden::check<double>(run, solver, {}, limits);
                continue;
            }
            golden::check<double>(run, solver);
            golden::check<float>(run, solver);
        }
    CHECK(compared == 24);
}

TEST_CASE("dpm_solver_2m: with all levels of the table but one it passes through the states of its peer, and with eta = 0 of 2M SDE's") {
    for (golden::recording const& run : golden::named("DPMSolverMultistepScheduler")) {
        if (run.steps != 999) continue;
        discrete const process;
        std::vector<double> levels;
        for (int i = 0; i < 999; ++i) levels.push_back(noise_to_signal(process, std::nearbyint(999 - 999.0 * i / 999) + 1));
        levels.push_back(0);
        golden::check<double>(run, dpm_solver_2m{}, levels);
    }
    for (golden::recording const& run : golden::named("sample_dpmpp_2m_sde"))
        if (run.step.number("eta") == 0) golden::check<double>(run, dpm_solver_2m{.lower_order_final = false});
}

TEST_CASE("dpm_solver_2m: the last of few steps may be of second order") {
    cpu device(1);
    model const flow{gaussian_data<x0, edm>{0.3, 0.5}, edm{}, x0{}};
    auto const end = [&](dpm_solver_2m const& solver, int steps) {
        tensor<double, cpu> x(device, {1, 1}, {2.5});
        solve(flow, solver, graded_times(edm{}, 3, 0.2, steps, 1), x.view());
        return x.data()[0];
    };
    CHECK(end({.lower_order_final = true}, 14) != end({.lower_order_final = false}, 14));
    CHECK(end({.lower_order_final = true}, 15) == end({.lower_order_final = false}, 15));
}

TEST_CASE("dpm_solver_2m: is a printable and comparable spec that remembers") {
    CHECK(to_string(dpm_solver_2m{.steps = 8}) == "dpm_solver_2m{steps = 8, form = midpoint, lower_order_final = true}");
    CHECK(to_string(dpm_solver_2m{.form = second_order::heun}) == "dpm_solver_2m{steps = 20, form = heun, lower_order_final = true}");
    CHECK(dpm_solver_2m{.steps = 8} == dpm_solver_2m{.steps = 8});
    CHECK_FALSE(dpm_solver_2m{} == dpm_solver_2m{.form = second_order::heun});
    CHECK(remembers<dpm_solver_2m>());
}

}  // namespace dpm_solver_2m_tests
