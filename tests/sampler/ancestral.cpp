#include <onestep/sampler/ancestral.hpp>

#include <onestep/schedule/cosine_schedule.hpp>

#include "stochastic.hpp"

namespace ancestral_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// The exact network of a golden run, with the v that the file's network returns.
struct with_variance {
    golden::network net;
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y) const { net(x, t, y); }
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y, view<T, cpu> v) const {
        net(x, t, y);
        for (index_t i = 0; i < v.size(); ++i) v.data()[i] = static_cast<T>(-0.75 + 0.5 * static_cast<double>(i % 4));
    }
};

/// D = 0 and one v for all.
struct constant_variance {
    double v;
    template <class T> void operator()(view<T const, cpu>, view<T const, cpu>, view<T, cpu> y) const { fill(y, T(0)); }
    template <class T> void operator()(view<T const, cpu>, view<T const, cpu>, view<T, cpu> y, view<T, cpu> variance) const {
        fill(y, T(0));
        fill(variance, static_cast<T>(v));
    }
};

/// A network of N(0.3, 0.5^2) on rectified flow with a v that depends on x.
struct gaussian_with_variance : gaussian_data<velocity> {
    using gaussian_data<velocity>::operator();
    template <class T> void operator()(view<T const, cpu> x, view<T const, cpu> t, view<T, cpu> y, view<T, cpu> v) const {
        (*this)(x, t, y);
        for (index_t i = 0; i < x.size(); ++i) v.data()[i] = x.data()[i] > T(0) ? T(0.5) : T(-1);
    }
};

double share_of(golden::recording const& run) { return run.config.text("variance_type").rfind("fixed_large", 0) == 0 ? 1 : 0; }

}  // namespace

TEST_CASE("ancestral: order 1 in mean and variance with either variance and between them") {
    check_weak_order(ancestral{}, 1);
    check_weak_order(ancestral{.large = 0.3}, 1);
    check_weak_order(ancestral{.large = 1}, 1);
}

TEST_CASE("ancestral: one step of DDPM has the coefficients of the paper") {
    discrete<> const p;
    auto const& table = p.table();
    for (std::size_t i : {1u, 2u, 500u, 999u})
        for (double large : {0.0, 0.25, 1.0}) {
            CAPTURE(i);
            CAPTURE(large);
            double const beta = table.beta[i], bar = table.alpha_bar[i], before = table.alpha_bar[i - 1];
            double const clean = std::sqrt(before) * beta / (1 - bar), now = std::sqrt(1 - beta) * (1 - before) / (1 - bar);
            double const small = (1 - before) / (1 - bar) * beta;
            cpu device(1);
            double const data = 0.375, start = -0.8;
            model const flow{[=](auto, auto, auto y) { fill(y, data); }, p, x0{}};
            tensor<double, cpu> x(device, {1, 1}, std::vector<double>{start}), z(device, {1, 1});
            solve(flow, ancestral{.large = large}, {static_cast<double>(i + 1), static_cast<double>(i)}, x.view(), {3});
            fill_normal(z.view(), random_key{3}.at(draw::solver));
            double const d = std::exp(0.5 * (large * std::log(beta) + (1 - large) * std::log(small)));
            CHECK(x.data()[0] == doctest::Approx(now * start + clean * data + d * z.data()[0]).epsilon(1e-11));
        }
}

TEST_CASE("ancestral: the small variance is exact for one point, the large one for white noise") {
    // Noise around 0: x_t ~ N(0, sigma_t^2) becomes N(0, sigma_s^2) in one long step.
    rectified_flow const p;
    model const point{[](auto, auto, auto y) { fill(y, 0.0); }, p, x0{}};
    affine_law const a = laws_of(point, ancestral{}, {0.9, 0.4}).front();
    CHECK(a.a * a.a * 0.81 + a.d * a.d == doctest::Approx(0.16).epsilon(1e-12));
    // Data N(0, 1): x_t ~ N(0, alpha_t^2 + sigma_t^2), and x_s given x_t has the large variance as r -> 1 on a path of constant variance.
    variance_preserving<> const vp;
    model const white{gaussian_data<epsilon, variance_preserving<>>{0, 1, {}, vp}, vp, epsilon{}};
    affine_law const b = laws_of(white, ancestral{.large = 1}, {0.5, 0.4}).front();
    CHECK(b.a * b.a + b.d * b.d == doctest::Approx(1).epsilon(1e-12));
}

TEST_CASE("ancestral: zero terminal SNR, the data, and one step") {
    check_ends(ancestral{});
    check_ends(ancestral{.large = 1});
    check_ends(ancestral{.large = 0.5});
}

TEST_CASE("ancestral: samples have the distribution of the data") {
    check_distribution<velocity>(rectified_flow{}, ancestral{.steps = 80}, 0.02);
    check_distribution<epsilon>(variance_preserving<>{}, ancestral{.steps = 100, .large = 1}, 0.04);
}

TEST_CASE("ancestral: rows depend on nothing but themselves") { check_rows_are_independent(ancestral{.large = 0.5}, equal_times(1, 0, 3)); }

TEST_CASE("ancestral: one evaluation a step, and no allocation") {
    CHECK(evaluations(ancestral{}, 1) == 1);
    CHECK(evaluations(ancestral{}, 7) == 7);
    check_allocates_nothing(ancestral{});
}

TEST_CASE("ancestral: errors") {
    check_refuses_inversion(ancestral{}, "domain_error: transition_of: s is 0.5 and t is 0.25, a step goes towards the data: s <= t");
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 1});
    CHECK_THROWS_WITH_AS(solve(flow, ancestral{.large = 1.5}, {1, 0}, x.view()),
                         "domain_error: ancestral: large is 1.5, it must be in [0, 1]", domain_error);
}

TEST_CASE("ancestral: passes through the states of its peer") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DDPMScheduler")) {
        if (run.config.text("variance_type") == "learned_range") continue;
        ancestral const solver{.large = share_of(run)};
        clip const limits{-run.config.number("clip_sample_range", 1), run.config.number("clip_sample_range", 1)};
        // Where the peer adds noise at the last step too, all steps but that one are compared.
        golden::recording all_but_last = run;
        if (run.fault == "noise at the last step") {
            if (run.x.size() == 1) continue;
            all_but_last.end = run.level.back();
            for (auto* list : {&all_but_last.call, &all_but_last.draws}) list->pop_back();
            all_but_last.level.pop_back();
            all_but_last.x.pop_back();
        } else {
            REQUIRE(run.fault.empty());
        }
        golden::recording const& part = all_but_last;
        if (run.steps > 50) {
            auto const deviation = [&](double t, double s) {
                transition const c = transition_of(run.process(), t, s);
                return std::sqrt(solver.large == 1 ? c.large_variance : c.small_variance);
            };
            if (run.config.text("beta_schedule") == "squaredcos_cap_v2")
                check_long_run(run, solver, all_levels(discrete{cosine_schedule{}}), deviation, limits);
            else check_long_run(run, solver, all_levels(discrete<>{}), deviation);
        } else if (run.config.flag("thresholding")) {
            dynamic_threshold const limit{run.config.number("dynamic_thresholding_ratio"), run.config.number("sample_max_value")};
            golden::check_with_noise<double>(part, solver, limit);
        } else if (run.config.flag("clip_sample", true)) {
            golden::check_with_noise<double>(part, solver, limits);
            golden::check_with_noise<float>(part, solver, limits);
        } else {
            golden::check_with_noise<double>(part, solver);
            golden::check_with_noise<float>(part, solver);
        }
        ++compared;
    }
    CHECK(compared == 20);
}

TEST_CASE("learned ancestral: v = -1 is the small variance, 1 the large one, between them logarithms are linear") {
    cpu device(1);
    auto const by_network = [&](double v) {
        tensor<double, cpu> x(device, {2, 3}, {1, -2, 0.5, 3, 0, -1});
        solve(model{constant_variance{v}, rectified_flow{}, x0{}}, learned_ancestral{}, equal_times(1, 0.1, 4), x.view(), {9});
        return x.to_host();
    };
    auto const by_number = [&](double large) {
        tensor<double, cpu> x(device, {2, 3}, {1, -2, 0.5, 3, 0, -1});
        solve(model{constant_variance{0}, rectified_flow{}, x0{}}, ancestral{.large = large}, equal_times(1, 0.1, 4), x.view(), {9});
        return x.to_host();
    };
    CHECK(relative_to(by_network(-1), by_number(0)) < 1e-14);
    CHECK(relative_to(by_network(1), by_number(1)) < 1e-14);
    CHECK(relative_to(by_network(-0.4), by_number(0.3)) < 1e-14);
    CHECK(relative_to(by_network(-1), by_number(1)) > 0.01);
}

TEST_CASE("learned ancestral: passes through the states of its peer") {
    int compared = 0;
    for (golden::recording const& run : golden::named("DDPMScheduler")) {
        if (run.config.text("variance_type") != "learned_range") continue;
        cpu device(1);
        golden::path const p = run.process();
        model const flow{with_variance{{p, run.output()}}, p, run.output()};
        golden::plan const plan = golden::plan_of(run);
        random_key const key{11};
        tensor<double, cpu> x = golden::detail::state<double>(device, run.start);
        sampling ours(flow, learned_ancestral{}, plan.times, x.view(), key);
        for (int i = 0; !ours.done(); ++i) {
            CAPTURE(i);
            auto const at = static_cast<std::size_t>(i);
            ours.advance();
            if (!ours.done()) {
                transition const c = transition_of(p, plan.times[at], plan.times[at + 1]);
                tensor<double, cpu> const z = golden::detail::our_noise<double>(device, key, i);
                for (std::size_t k = 0; k < 4; ++k) {
                    double const f = 0.125 + 0.25 * static_cast<double>(k);
                    double const d = std::sqrt(std::pow(c.large_variance, f) * std::pow(c.small_variance, 1 - f));
                    x.data()[k] += d * (golden::detail::file_noise(i)[k] - z.data()[k]);
                }
            }
            CHECK(golden::detail::difference(x.data(), run.x[at]) <= golden::detail::tolerance<double>(run));
        }
        ++compared;
    }
    CHECK(compared == 1);
}

TEST_CASE("learned ancestral: no noise reaches the data, one evaluation a step, limits hold") {
    cpu device(1);
    tensor<float, cpu> x(device, {2, 2}, {1, -2, 3, 0.5f});
    model const flow{constant_variance{0.5}, rectified_flow{}, x0{}};
    CHECK(solve(flow, learned_ancestral{}, equal_times(1, 0, 5), x.view()) == 5);
    CHECK(x.to_host() == std::vector<float>(4, 0));
    solve(limited{flow, clip{0.25, 1}}, learned_ancestral{}, equal_times(1, 0, 5), x.view());
    CHECK(x.to_host() == std::vector<float>(4, 0.25f));
}

TEST_CASE("learned ancestral: rows depend on nothing but themselves") {
    cpu device(2);
    model const flow{gaussian_with_variance{{0.3, 0.5, {}, {}}}, rectified_flow{}, velocity{}};
    tensor<float, cpu> const start = normal<float>(device, {64, 150}, 3);
    tensor<float, cpu> all = start, parts = start;
    std::vector<double> const times = equal_times(1, 0, 3);
    solve(flow, learned_ancestral{}, times, all.view(), {7, 0, 100});
    for (index_t first = 0; first < 64; ++first)
        solve(flow, learned_ancestral{}, times, parts.view().rows(first, 1), {7, 0, 100 + static_cast<std::uint64_t>(first)});
    CHECK(parts.to_host() == all.to_host());
}

TEST_CASE("ancestral: are printable and comparable specs") {
    CHECK(to_string(ancestral{.steps = 8, .large = 0.5}) == "ancestral{steps = 8, large = 0.5}");
    CHECK(to_string(learned_ancestral{.steps = 8}) == "learned_ancestral{steps = 8}");
    CHECK_FALSE(ancestral{.large = 0.5} == ancestral{});
    static_assert(variance_network<gaussian_with_variance, float, cpu>);
    static_assert(!variance_network<gaussian_data<velocity>, float, cpu>);
}

}  // namespace ancestral_tests
