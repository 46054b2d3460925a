#include <onestep/sampler/dpm_solver_3m.hpp>

#include <onestep/sampler/dpm_solver_2m.hpp>
#include <onestep/sampler/exponential_adams.hpp>

#include "golden.hpp"
#include "log_snr_solvers.hpp"

namespace dpm_solver_3m_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("dpm_solver_3m: converges at order 3 once the first steps are short") {
    for (auto form : {second_order::midpoint, second_order::heun}) {
        check_order_on_mixtures(dpm_solver_3m{.form = form}, 3, {96, 128, 192, 256, 384}, 2);
        check_order_on_gaussians(dpm_solver_3m{.form = form}, 3, {96, 128, 192, 256, 384}, 2);
    }
}

TEST_CASE("dpm_solver_3m: as published it is of order 2") {
    check_order_on_mixtures(dpm_solver_3m{.published = true}, 2, {96, 128, 192, 256, 384}, 1);
}

TEST_CASE("dpm_solver_3m: passes what solvers in log-SNR are held to") { check_log_snr_solver(dpm_solver_3m{}, 1e-3); }

TEST_CASE("dpm_solver_3m: is the exponential Adams method of order 3") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    tensor<double, cpu> x(device, {2, 2}, {0.4, -1.3, 0.9, 0.2}), y = x;
    std::vector<double> const times{1, 0.93, 0.8, 0.75, 0.5, 0.42, 0.4, 0.2, 0.15, 0.05, 0};
    solve(flow, dpm_solver_3m{}, times, x.view());
    solve(flow, exponential_adams{.order = 3}, times, y.view());
    CHECK(relative_to(x.to_host(), y.to_host()) < 1e-14);
}

TEST_CASE("dpm_solver_3m: as published it passes through the states of its peers") {
    int compared = 0;
    for (char const* name : {"DPMSolverMultistepScheduler", "EDMDPMSolverMultistepScheduler", "sample_dpmpp_3m_sde"})
        for (golden::recording const& run : golden::named(name)) {
            std::string const type = run.config.text("algorithm_type", "dpmsolver++");
            if (run.config.number("solver_order", 3) != 3 || type != "dpmsolver++" || run.step.number("eta") != 0) continue;
            if (run.config.flag("euler_at_final")) continue;
            bool const heun = run.config.text("solver_type", run.package == "diffusers" ? "midpoint" : "heun") == "heun";
            dpm_solver_3m const solver{
                .published = true,
                .form = heun ? second_order::heun : second_order::midpoint,
                .lower_order_final = run.config.flag("lower_order_final", run.package == "diffusers") && !golden::plan_of(run).shorter};
            golden::check<double>(run, solver);
            golden::check<float>(run, solver);
            ++compared;
        }
    CHECK(compared == 8);
}

TEST_CASE("dpm_solver_3m: on many steps the right factor ends far nearer to the exact flow than the published one") {
    cpu device(1);
    variance_preserving const process;
    model const flow{mixture_data<x0, variance_preserving<>>{three_clusters(), {}, process}, process, x0{}};
    tensor<double, cpu> const start(device, {4, 2}, {0.4, 0.3, -0.9, 0.8, -0.2, -1.1, 1.3, -0.7});
    tensor<double, cpu> exact = start, ours = start, published = start;
    solve(flow, rk4{}, graded_times(process, 0.6, 0.15, 3000, 1), exact.view());
    std::vector<double> const times = graded_times(process, 0.6, 0.15, 200, 2);
    solve(flow, dpm_solver_3m{}, times, ours.view());
    solve(flow, dpm_solver_3m{.published = true}, times, published.view());
    CHECK(relative_to(ours.to_host(), exact.to_host()) < relative_to(published.to_host(), exact.to_host()) / 5);
}

TEST_CASE("dpm_solver_3m: is a printable and comparable spec that remembers") {
    CHECK(to_string(dpm_solver_3m{.steps = 8}) == "dpm_solver_3m{steps = 8, published = false, form = heun, lower_order_final = true}");
    CHECK(dpm_solver_3m{.steps = 8} == dpm_solver_3m{.steps = 8});
    CHECK_FALSE(dpm_solver_3m{} == dpm_solver_3m{.published = true});
    CHECK(remembers<dpm_solver_3m>());
}

}  // namespace dpm_solver_3m_tests
