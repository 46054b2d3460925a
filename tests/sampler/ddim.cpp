#include <onestep/sampler/ddim.hpp>

#include <onestep/sampler/ancestral.hpp>

#include "order.hpp"
#include "stochastic.hpp"

#include <onestep/schedule/zero_terminal_snr.hpp>

namespace ddim_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("ddim: order 1 for the flow, on every process and in both directions") {
    std::vector<int> const steps{48, 64, 96, 128, 192, 256};
    check_order_on_gaussian<velocity>(ddim{}, 0.95, 0.05, steps);
    check_order_on_gaussian<velocity>(ddim{}, 0.05, 0.95, steps);
    check_order_on_gaussian<x0>(ddim{}, 3.0, 0.2, steps, edm{});
    check_order_on_gaussian<epsilon>(ddim{}, 0.2, 3.0, steps, edm{});
    check_order_on_gaussian<epsilon>(ddim{}, 0.6, 0.1, steps, variance_preserving<>{});
    check_order_on_mixture<velocity>(ddim{}, 0.95, 0.1, steps);
    check_order_on_mixture<v_prediction>(ddim{}, 1.4, 0.2, steps, trigonometric_flow{});
    check_order_on_mixture<epsilon>(ddim{}, 0.5, 0.1, steps, variance_preserving<>{});
}

TEST_CASE("ddim: order 1 in mean and variance for any eta") {
    check_weak_order(ddim{}, 0);
    check_weak_order(ddim{.eta = 0.5}, 0.5);
    check_weak_order(ddim{.eta = 1}, 1);
}

TEST_CASE("ddim: a step has the coefficients of the paper") {
    // equation 12, from the alpha_bars of the table alone
    discrete<> const p;
    auto const& bar = p.table().alpha_bar;
    for (std::pair<int, int> const& levels : {std::pair{999, 998}, {800, 500}, {500, 20}, {3, 2}, {1, 0}})
        for (double eta : {0.0, 0.3, 1.0}) {
            int const i = levels.first, j = levels.second;
            CAPTURE(i);
            CAPTURE(eta);
            double const at = bar[static_cast<std::size_t>(i)], as = bar[static_cast<std::size_t>(j)];
            double const deviation = eta * std::sqrt((1 - as) / (1 - at)) * std::sqrt(1 - at / as);
            double const predicted = std::sqrt(1 - as - deviation * deviation);
            ddim_step const c = ddim_step_of(p, i + 1, j + 1, eta);
            CHECK(c.noise == doctest::Approx(deviation).epsilon(1e-10));
            CHECK(c.x == doctest::Approx(predicted / std::sqrt(1 - at)).epsilon(1e-10));
            CHECK(c.x0 == doctest::Approx(std::sqrt(as) - predicted * std::sqrt(at) / std::sqrt(1 - at)).epsilon(1e-9));
        }
}

TEST_CASE("ddim: eta 1 is ancestral sampling with the small variance, to the last digits of every coefficient") {
    auto const same = [](auto const& p, double t, double s) {
        ddim_step const c = ddim_step_of(p, t, s, 1);
        transition const wanted = transition_of(p, t, s);
        CHECK(std::fabs(c.x - wanted.x) <= 4e-16 * (wanted.x + 1e-300) * 4);
        CHECK(c.x0 == doctest::Approx(wanted.x0).epsilon(1e-13));
        CHECK(c.noise == doctest::Approx(std::sqrt(wanted.small_variance)).epsilon(1e-15));
    };
    same(rectified_flow{}, 1 - 1e-9, 0.5);  // r = 1e-18: formed from 1 - (1 - r) it would be 0
    same(rectified_flow{}, 1, 0.5);
    same(rectified_flow{}, 0.5, 0);
    same(edm{}, 80, 0.002);
    same(variance_preserving<>{}, 1, 0.7);
    same(trigonometric_flow{}, 1.5, 0.1);
}

TEST_CASE("ddim: samples of eta 1 are those of ancestral sampling") {
    cpu device(1);
    discrete<> const p;
    model const flow{mixture_data<epsilon, discrete<>>{three_clusters(), {}, p}, p, epsilon{}};
    tensor<double, cpu> const z = normal<double>(device, {20, 2}, 4);
    auto const a = sample(flow, ddim{.steps = 25, .eta = 1}, z, uniform_grid{}, {5});
    auto const b = sample(flow, ancestral{.steps = 25}, z, uniform_grid{}, {5});
    CHECK(relative_to(a.to_host(), b.to_host()) < 1e-12);
}

TEST_CASE("ddim: every eta keeps the variance of noise around one point, and is cut where it would not") {
    for (double eta : {0.0, 0.5, 1.0, 1.2, 5.0}) {
        ddim_step const c = ddim_step_of(edm{}, 2, 1, eta);
        CHECK(4 * c.x * c.x + c.noise * c.noise == doctest::Approx(1).epsilon(1e-14));  // of x = sigma z
        CHECK(c.x0 == doctest::Approx(1 - c.x).epsilon(1e-15));
    }
    CHECK(ddim_step_of(edm{}, 2, 1, 5).x == 0);
    CHECK(ddim_step_of(edm{}, 2, 1, 5).noise == 1);
}

TEST_CASE("ddim: zero terminal SNR, the data, and one step") {
    check_ends(ddim{});
    check_ends(ddim{.eta = 1});
    cpu device(1);
    discrete<zero_terminal_snr<linear_schedule>> const p;
    model const flow{gaussian_data<v_prediction, decltype(p)>{0.3, 0.5, {}, p}, p, v_prediction{}};
    tensor<double, cpu> x(device, {1, 2}, {0.4, -1});
    solve(flow, ddim{}, {1000, 500}, x.view());
    CHECK(x.data()[0] == doctest::Approx(0.3 * p.alpha(500) + 0.4 * p.sigma(500)).epsilon(1e-14));  // D is the mean of the data
    CHECK(x.data()[1] == doctest::Approx(0.3 * p.alpha(500) - p.sigma(500)).epsilon(1e-14));
    solve(flow, ddim{}, {0, 500}, x.view());  // from the data epsilon is 0
    CHECK(ddim_step_of(p, 0, 500, 0).x == 0);
    CHECK(ddim_step_of(p, 0, 500, 0).x0 == p.alpha(500));
}

TEST_CASE("ddim: a limited clean sample moves epsilon with it") {
    cpu device(1);
    auto const at_two = [](auto x, auto, auto y) {
        for (index_t i = 0; i < x.size(); ++i) y.data()[i] = 2;
    };
    model const flow{at_two, edm{}, x0{}};
    tensor<double, cpu> x(device, {1, 1}, std::vector<double>{3});
    solve(limited{flow, clip{-1, 1}}, ddim{}, {4, 1}, x.view());
    CHECK(x.data()[0] == 1 + (3.0 - 1) / 4);  // D = 1, epsilon = (3 - 1) / 4
}

TEST_CASE("ddim: samples have the distribution of the data") {
    check_distribution<velocity>(rectified_flow{}, ddim{.steps = 80, .eta = 1}, 0.02);
    check_distribution<epsilon>(variance_preserving<>{}, ddim{.steps = 80, .eta = 0.5}, 0.03);
}

TEST_CASE("ddim: rows depend on nothing but themselves") { check_rows_are_independent(ddim{.eta = 0.7}, equal_times(1, 0, 3)); }

TEST_CASE("ddim: one evaluation a step, and no allocation") {
    CHECK(evaluations(ddim{}, 1) == 1);
    CHECK(evaluations(ddim{.eta = 1}, 7) == 7);
    check_allocates_nothing(ddim{.eta = 1});
}

TEST_CASE("ddim: errors") {
    check_refuses_inversion(ddim{.eta = 1}, "domain_error: transition_of: s is 0.5 and t is 0.25, a step goes towards the data: s <= t");
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 1});
    CHECK_THROWS_WITH_AS(solve(flow, ddim{.eta = -1}, {1, 0}, x.view()), "domain_error: ddim_step_of: eta is -1, it must be at least 0",
                         domain_error);
}

TEST_CASE("ddim: passes through the states of its peer") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DDIMScheduler")) {
        if (!run.fault.empty()) continue;
        ddim const solver{.eta = run.step.number("eta")};
        bool const clips = run.config.flag("clip_sample", true);
        // The peer's default keeps the epsilon of the unlimited x0; ours moves with it.
        if ((clips || run.config.flag("thresholding")) && !run.step.flag("use_clipped_model_output")) continue;
        clip const limits{-run.config.number("clip_sample_range", 1), run.config.number("clip_sample_range", 1)};
        if (run.steps > 50) {
            auto const levels = all_levels(discrete<>{});
            golden::path const p = run.process();
            if (run.draws.empty()) golden::check<double>(run, solver, levels);
            else check_long_run(run, solver, levels, [&](double t, double s) { return ddim_step_of(p, t, s, solver.eta).noise; });
        } else if (clips) {
            if (run.draws.empty()) golden::check<double>(run, solver, {}, limits);
            else golden::check_with_noise<double>(run, solver, limits);
        } else if (run.draws.empty()) {
            golden::check<double>(run, solver);
            golden::check<float>(run, solver);
        } else {
            golden::check_with_noise<double>(run, solver);
            golden::check_with_noise<float>(run, solver);
        }
        ++compared;
    }
    CHECK(compared == 27);
}

TEST_CASE("ddim: where the peer steps to an index that it does not visit next, each of its steps is ours") {
    cpu device(1);
    discrete<> const p;
    int compared = 0;
    for (golden::recording const& run : golden::named("DDIMScheduler")) {
        if (run.fault != "previous index") continue;
        golden::path const path = run.process();
        std::vector<double> before = run.start;
        for (std::size_t k = 0; k < run.x.size(); ++k) {
            tensor<double, cpu> x = golden::detail::state<double>(device, before);
            double const end = run.to_time[k] < 0 ? 0 : noise_to_signal(p, run.to_time[k] + 1);
            solve(run.model(), ddim{}, {path.time_of(run.level[k]), path.time_of(end)}, x.view());
            CHECK(golden::detail::difference(x.data(), run.x[k]) < 1e-10);
            before = run.x[k];
        }
        ++compared;
    }
    CHECK(compared == 4);
}

TEST_CASE("ddim: is a printable and comparable spec") {
    CHECK(to_string(ddim{.steps = 8, .eta = 0.5}) == "ddim{steps = 8, eta = 0.5}");
    CHECK(ddim{}.steps == 50);
    CHECK_FALSE(ddim{.eta = 0.5} == ddim{});
}

}  // namespace ddim_tests
