#include <onestep/sampler/unipc.hpp>

#include <onestep/sampler/dpm_solver_2m.hpp>
#include <onestep/sampler/dpm_solver_3m.hpp>

#include "golden.hpp"
#include "log_snr_solvers.hpp"

namespace unipc_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("unipc: the predictor has order p, with the corrector it is p + 1") {
    for (auto form : {unipc_form::bh1, unipc_form::bh2}) {
        check_order_on_mixtures(unipc{.order = 1, .form = form, .corrector = false, .lower_order_final = false}, 1, {48, 64, 96, 128, 192},
                                1);
        check_order_on_mixtures(unipc{.order = 1, .form = form, .lower_order_final = false}, 2, {96, 128, 192, 256, 384}, 1);
        check_order_on_mixtures(unipc{.order = 2, .form = form, .corrector = false, .lower_order_final = false}, 2,
                                {96, 128, 192, 256, 384}, 2);
        check_order_on_mixtures(unipc{.order = 2, .form = form, .lower_order_final = false}, 3, {96, 128, 192, 256, 384}, 2);
    }
    check_order_on_mixtures(unipc{.order = 3, .corrector = false, .lower_order_final = false}, 3, {96, 128, 192, 256, 384}, 2);
    check_order_on_mixtures(unipc{.order = 3, .lower_order_final = false}, 4, {384, 512, 768, 1024, 1536}, 2);
    check_order_on_gaussians(unipc{.order = 2, .lower_order_final = false}, 3, {96, 128, 192, 256, 384}, 2);
}

TEST_CASE("unipc: passes what solvers in log-SNR are held to") {
    check_log_snr_solver(unipc{}, 1e-3);
    check_log_snr_solver(unipc{.order = 3, .form = unipc_form::bh1}, 1e-3);
    check_log_snr_solver(unipc{.order = 1}, 1e-3);
    check_constant_prediction(unipc{.corrector = false});
    check_fresh_start(unipc{.corrector = false});
    check_rows_alone(unipc{.corrector = false});
}

TEST_CASE("unipc: without the corrector its orders are solvers with names of their own") {
    cpu device(1);
    model const flow{mixture_data<velocity>{three_clusters()}, rectified_flow{}, velocity{}};
    std::vector<double> const times{1, 0.93, 0.8, 0.75, 0.5, 0.42, 0.4, 0.2, 0.15, 0.05, 0};
    auto const result = [&](auto const& solver) {
        tensor<double, cpu> x(device, {2, 2}, {0.4, -1.3, 0.9, 0.2});
        solve(flow, solver, times, x.view());
        return x.to_host();
    };
    CHECK(relative_to(result(unipc{.order = 1, .corrector = false}), result(ddim{})) < 1e-14);
    CHECK(relative_to(result(unipc{.order = 2, .corrector = false}), result(dpm_solver_2m{})) < 1e-14);
    CHECK(relative_to(result(unipc{.order = 3, .corrector = false}), result(dpm_solver_3m{.form = second_order::midpoint})) < 1e-14);
    CHECK(relative_to(result(unipc{.order = 3}), result(unipc{.order = 3, .corrector = false})) > 1e-4);
}

TEST_CASE("unipc: passes through the states of its peer") {
    int compared = 0;
    for (golden::recording const& run : golden::named("UniPCMultistepScheduler")) {
        if (!run.config.flag("predict_x0", true) || run.config.has("disable_corrector")) continue;
        unipc const solver{.order = static_cast<int>(run.config.number("solver_order", 2)),
                           .form = run.config.text("solver_type") == "bh1" ? unipc_form::bh1 : unipc_form::bh2,
                           .lower_order_final = run.config.flag("lower_order_final", true) && !golden::plan_of(run).shorter};
        golden::check<double>(run, solver);
        golden::check<float>(run, solver);
        ++compared;
    }
    CHECK(compared == 15);
}

TEST_CASE("unipc: one evaluation a step") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK(solve(flow, unipc{}, equal_times(0.9, 0.1, 5), x.view()) == 5);
    CHECK(solve(flow, unipc{}, {1, 0}, x.view()) == 1);
}

TEST_CASE("unipc: refuses an order outside its range") {
    cpu device(1);
    model const flow{one_point{0.5}, rectified_flow{}, x0{}};
    tensor<float, cpu> x(device, {1, 2}, {1, 2});
    CHECK_THROWS_WITH_AS(solve(flow, unipc{.order = 4}, {1, 0}, x.view()), "domain_error: unipc: order is 4, it must be 1 to 3",
                         domain_error);
    CHECK_THROWS_AS(solve(flow, unipc{.order = 0}, {1, 0}, x.view()), domain_error);
}

TEST_CASE("unipc: is a printable and comparable spec that remembers") {
    CHECK(to_string(unipc{.steps = 8}) == "unipc{steps = 8, order = 2, form = bh2, corrector = true, lower_order_final = true}");
    CHECK(unipc{.steps = 8} == unipc{.steps = 8});
    CHECK_FALSE(unipc{} == unipc{.form = unipc_form::bh1});
    CHECK(remembers<unipc>());
}

}  // namespace unipc_tests
