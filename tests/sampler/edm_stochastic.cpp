#include <onestep/sampler/edm_stochastic.hpp>

#include <onestep/sampler/heun.hpp>
#include <onestep/time/karras_grid.hpp>

#include "order.hpp"
#include "stochastic.hpp"

namespace edm_stochastic_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

edm_stochastic const quiet{.steps = 18, .churn = 0};

/// From the marginal to the marginal: both halves of a step keep it, but for Heun's error.
template <class Target, class Process> void check_marginals(Process const& p, double from, double to) {
    std::string const on = Process::name;
    CAPTURE(on);
    std::vector<int> const steps{64, 96, 128, 192, 256, 384};
    model const exact{gaussian_data<Target, Process>{0.3, 0.5, {}, p}, p, Target{}};
    auto const marginal_moments = [&](double t) {
        return moments{0.3 * p.alpha(t), 0.25 * p.alpha(t) * p.alpha(t) + p.sigma(t) * p.sigma(t)};
    };
    std::vector<double> errors;
    for (int n : steps) {
        moments const found =
            propagate(exact, edm_stochastic{.churn = 3, .lowest = 0, .noise_scale = 1}, equal_times(from, to, n), marginal_moments(from));
        errors.push_back(std::fabs(found.variance - marginal_moments(to).variance));
        CHECK(std::fabs(found.mean - marginal_moments(to).mean) < 1e-10);
    }
    CAPTURE(errors.back());
    CHECK(std::fabs(fitted_order(steps, errors) - 2) < 0.15);
}

}  // namespace

TEST_CASE("edm stochastic: order 2 for the flow without churn, on every process") {
    std::vector<int> const steps{48, 64, 96, 128, 192, 256};
    check_order_on_gaussian<x0>(quiet, 3, 0.3, steps, edm{});
    check_order_on_gaussian<velocity>(quiet, 0.9, 0.15, steps);
    check_order_on_gaussian<epsilon>(quiet, 0.6, 0.1, steps, variance_preserving<>{});
    check_order_on_mixture<velocity>(quiet, 0.9, 0.15, steps);
    check_order_on_mixture<v_prediction>(quiet, 1.3, 0.2, steps, trigonometric_flow{});
    check_order_on_mixture<epsilon>(quiet, 0.6, 0.1, steps, variance_preserving<>{});
}

TEST_CASE("edm stochastic: with churn the variance is kept to order 2") {
    check_marginals<x0>(edm{}, 3, 0.3);
    check_marginals<velocity>(rectified_flow{}, 0.9, 0.15);
    check_marginals<epsilon>(variance_preserving<>{}, 0.6, 0.1);
}

TEST_CASE("edm stochastic: a step has the formulas of the paper") {
    cpu device(1);
    edm const p{.sigma_max = 100};
    gaussian_data<x0, edm> const net{0.3, 0.5, {}, p};
    auto const denoised = [](double x, double level) { return 0.3 + 0.25 * (x - 0.3) / (0.25 + level * level); };
    double const start = 2.5;
    for (std::pair<double, double> const& step : {std::pair{4.0, 1.5}, {4.0, 0.0}, {60.0, 20.0}, {0.04, 0.01}})
        for (double churn : {0.0, 0.2, 7.0}) {
            double const from = step.first, to = step.second;
            CAPTURE(from);
            CAPTURE(to);
            CAPTURE(churn);
            tensor<double, cpu> x(device, {1, 1}, std::vector<double>{start}), z(device, {1, 1});
            fill_normal(z.view(), random_key{3}.at(draw::solver));
            int const calls =
                static_cast<int>(solve(model{net, p, x0{}}, edm_stochastic{.churn = churn, .noise_scale = 1.1}, {from, to}, x.view(), {3}));
            double const gamma = from >= 0.05 && from <= 50 ? std::fmin(churn, std::sqrt(2) - 1) : 0, hat = from * (1 + gamma);
            double const raised = start + std::sqrt(hat * hat - from * from) * 1.1 * z.data()[0];
            double const slope = (raised - denoised(raised, hat)) / hat;
            double next = raised + (to - hat) * slope;
            if (to > 0) next = raised + (to - hat) * (slope + (next - denoised(next, to)) / to) / 2;
            CHECK(x.data()[0] == doctest::Approx(next).epsilon(1e-11));  // x - D cancels at low levels
            CHECK(calls == (to > 0 ? 2 : 1));
        }
}

TEST_CASE("edm stochastic: without churn it is Heun's method on EDM") {
    cpu device(1);
    model const flow{mixture_data<x0, edm>{three_clusters(), {}, edm{}}, edm{}, x0{}};
    tensor<double, cpu> const z = normal<double>(device, {9, 2}, 4);
    auto const ours = sample(flow, quiet, z, karras_grid{}), heuns = sample(flow, heun{.steps = 18}, z, karras_grid{});
    CHECK(relative_to(ours.to_host(), heuns.to_host()) < 1e-10);
}

TEST_CASE("edm stochastic: is the same on every process in x over alpha") {
    for (edm_stochastic const& solver : {quiet, edm_stochastic{.churn = 1.5, .lowest = 0.2, .highest = 4}}) {
        check_same_on_edm(solver, rectified_flow{});
        check_same_on_edm(solver, variance_preserving<>{});
        check_same_on_edm(solver, trigonometric_flow{});
        check_same_on_edm(solver, discrete<>{});
    }
}

TEST_CASE("edm stochastic: no level is raised above t_max") {
    cpu device(1);
    double asked = 0;
    edm const p{.sigma_max = 10};
    model const flow{[&](auto, auto t, auto y) {
                         asked = std::fmax(asked, t.data()[0]);
                         fill(y, 0.5);
                     },
                     p, x0{}};
    tensor<double, cpu> x(device, {1, 2}, {7, -4});
    solve(flow, edm_stochastic{.churn = 10}, {10, 9, 5, 0}, x.view());
    CHECK(asked == 10);
}

TEST_CASE("edm stochastic: zero terminal SNR, the data, and one step") {
    check_ends(quiet);
    check_ends(edm_stochastic{});
}

TEST_CASE("edm stochastic: samples have the distribution of the data") {
    check_distribution<x0>(edm{}, edm_stochastic{.steps = 40, .churn = 10, .noise_scale = 1}, 0.02, karras_grid{});
    check_distribution<velocity>(rectified_flow{}, edm_stochastic{.steps = 60, .churn = 10, .noise_scale = 1}, 0.03);
}

TEST_CASE("edm stochastic: rows depend on nothing but themselves") {
    check_rows_are_independent(edm_stochastic{.churn = 1}, equal_times(0.9, 0, 3));
}

TEST_CASE("edm stochastic: two evaluations a step but the last, and no allocation") {
    cpu device(1);
    model const flow{gaussian_data<x0, edm>{0.3, 0.6}, edm{}, x0{}};
    tensor<float, cpu> x(device, {5, 2}, std::vector<float>(10, 0.5f));
    for (int n : {1, 2, 18}) CHECK(solve(flow, edm_stochastic{}, times_of(karras_grid{}, edm{}, n), x.view()) == 2 * n - 1);
    check_allocates_nothing(edm_stochastic{});
}

TEST_CASE("edm stochastic: errors") {
    check_refuses_inversion(edm_stochastic{}, "domain_error: edm_stochastic: a step goes from 0.25 to 0.5, it must go towards the data");
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 1});
    CHECK_THROWS_WITH_AS(solve(flow, edm_stochastic{.churn = -1}, {1, 0}, x.view()),
                         "domain_error: edm_stochastic: churn is -1, it must be at least 0", domain_error);
    CHECK_THROWS_WITH_AS(solve(flow, edm_stochastic{.noise_scale = -0.5}, {1, 0}, x.view()),
                         "domain_error: edm_stochastic: noise_scale is -0.5, it must be at least 0", domain_error);
}

TEST_CASE("edm stochastic: passes through the states of its peer") {
    int with_churn = 0, without = 0;
    for (golden::recording const& run : golden::named("sample_heun")) {
        REQUIRE(run.fault.empty());
        edm_stochastic const solver{.churn = run.step.number("s_churn"),
                                    .lowest = run.step.number("s_tmin"),
                                    .highest = run.step.number("s_tmax", HUGE_VAL),
                                    .noise_scale = run.step.number("s_noise", 1)};
        if (run.draws.empty()) {
            golden::check<double>(run, solver);
            golden::check<float>(run, solver);
            ++without;
            continue;
        }
        double const gamma = std::fmin(solver.churn / run.steps, std::sqrt(2) - 1);
        auto const noise = [&](double t, double) {
            return solver.lowest <= t && t <= solver.highest ? solver.noise_scale * t * std::sqrt((1 + gamma) * (1 + gamma) - 1) : 0;
        };
        golden::check_with_noise_first<double>(run, solver, noise);
        golden::check_with_noise_first<float>(run, solver, noise);
        ++with_churn;
    }
    CHECK(with_churn == 1);
    CHECK(without == 2);
    without = 0;
    for (golden::recording const& run : golden::named("HeunDiscreteScheduler")) {
        REQUIRE(run.fault.empty());
        if (run.config.flag("clip_sample")) golden::check<double>(run, quiet, {}, clip{-1, 1});
        else golden::check<double>(run, quiet);
        ++without;
    }
    CHECK(without == 7);
}

TEST_CASE("edm stochastic: is a printable and comparable spec") {
    CHECK(to_string(edm_stochastic{.steps = 8}) ==
          "edm_stochastic{steps = 8, churn = 40, lowest = 0.05, highest = 50, noise_scale = 1.003}");
    CHECK_FALSE(quiet == edm_stochastic{});
}

}  // namespace edm_stochastic_tests
