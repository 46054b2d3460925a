#include <onestep/sampler/euler_maruyama.hpp>

#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/sampler/euler.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>

#include "stochastic.hpp"

namespace euler_maruyama_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("euler maruyama: order 1 in mean and variance for any eta") {
    for (double eta : {0.0, 0.5, 1.0, 1.4}) check_weak_order(euler_maruyama{.eta = eta, .denoise = false}, eta);
    check_weak_order_on<epsilon>(sub_variance_preserving<>{}, euler_maruyama{.denoise = false}, 1, 0.8, 0.2, 1);
}

TEST_CASE("euler maruyama: a step has the formula of the SDE") {
    cpu device(1);
    double const data = 0.375, start = -0.8, t = 0.6, s = 0.55;
    // beta(t) = 0.1 + 19.9 t, f = -beta/2, g^2 = beta; log alpha = -(0.1 t + 19.9 t^2/2)/2
    double const beta = 0.1 + 19.9 * t, alpha = std::exp(-0.05 * t - 4.975 * t * t), variance = 1 - alpha * alpha;
    for (double eta : {0.0, 0.5, 1.0}) {
        CAPTURE(eta);
        tensor<double, cpu> x(device, {1, 1}, std::vector<double>{start}), z(device, {1, 1});
        variance_preserving<> const p;
        model const flow{[=](auto, auto, auto y) { fill(y, data); }, p, x0{}};
        solve(flow, euler_maruyama{.eta = eta, .denoise = false}, {t, s}, x.view(), {3});
        fill_normal(z.view(), random_key{3}.at(draw::solver));
        double const score = (alpha * data - start) / variance, dt = s - t;
        double const mean = start + (-0.5 * beta * start - 0.5 * (1 + eta * eta) * beta * score) * dt;
        CHECK(x.data()[0] == doctest::Approx(mean + eta * std::sqrt(beta * -dt) * z.data()[0]).epsilon(1e-12));
        x.data()[0] = start;
        solve(flow, euler_maruyama{.eta = eta}, {t, s}, x.view(), {3});
        CHECK(x.data()[0] == doctest::Approx(mean).epsilon(1e-12));
    }
}

TEST_CASE("euler maruyama: eta 0 is Euler's method for the flow") {
    cpu device(1);
    auto const check = [&](auto const& p, std::vector<double> const& times) {
        using process_type = std::remove_cvref_t<decltype(p)>;
        model const flow{mixture_data<v_prediction, process_type>{three_clusters(), {}, p}, p, v_prediction{}};
        tensor<double, cpu> const start = normal<double>(device, {9, 2}, 4);
        tensor<double, cpu> x = start, y = start;
        solve(flow, euler_maruyama{.eta = 0}, times, x.view(), {3});
        solve(flow, euler{}, times, y.view());
        CHECK(relative_to(x.to_host(), y.to_host()) < 1e-12);
    };
    check(rectified_flow{}, equal_times(0.95, 0.1, 12));
    check(variance_preserving<>{}, equal_times(0.7, 0.1, 12));
    check(edm{}, equal_times(3, 0.3, 12));
    check(trigonometric_flow{}, equal_times(1.4, 0.2, 12));
}

TEST_CASE("euler maruyama: noise is left out of the last step only, and kept there if wanted") {
    rectified_flow const p;
    model const flow{gaussian_data<velocity>{0.3, 0.5}, p, velocity{}};
    auto const quiet = laws_of(flow, euler_maruyama{}, equal_times(0.9, 0.3, 3));
    auto const noisy = laws_of(flow, euler_maruyama{.denoise = false}, equal_times(0.9, 0.3, 3));
    for (std::size_t i = 0; i < 3; ++i) {
        double const t = 0.9 - 0.2 * static_cast<double>(i), g = std::sqrt(2 * t / (1 - t));
        CHECK(noisy[i].d == doctest::Approx(g * std::sqrt(0.2)).epsilon(1e-11));
        CHECK(std::fabs(quiet[i].d - (i < 2 ? noisy[i].d : 0)) < 1e-12);
        CHECK(quiet[i].a == doctest::Approx(noisy[i].a).epsilon(1e-11));
    }
}

TEST_CASE("euler maruyama: zero terminal SNR, the data, and one step") {
    check_ends(euler_maruyama{});
    check_ends(euler_maruyama{.denoise = false});
    check_ends(euler_maruyama{.eta = 0});
    // From alpha = 0 the step is exact for D = E[x0]: the marginal of one point there.
    discrete<zero_terminal_snr<linear_schedule>> const p;
    model const flow{gaussian_data<v_prediction, decltype(p)>{0.3, 0.5, {}, p}, p, v_prediction{}};
    affine_law const reverse = laws_of(flow, euler_maruyama{.denoise = false}, {1000, 900}).front();
    CHECK(std::fabs(reverse.a) < 1e-14);
    CHECK(reverse.b == doctest::Approx(0.3 * p.alpha(900)).epsilon(1e-12));
    CHECK(reverse.d == doctest::Approx(p.sigma(900)).epsilon(1e-12));
    affine_law const ode = laws_of(flow, euler_maruyama{.eta = 0}, {1000, 900}).front();
    CHECK(ode.a == doctest::Approx(p.sigma(900)).epsilon(1e-12));
    CHECK(ode.d == 0);
}

TEST_CASE("euler maruyama: samples have the distribution of the data") {
    check_distribution<velocity>(rectified_flow{}, euler_maruyama{.steps = 80}, 0.03);
    check_distribution<epsilon>(variance_preserving<>{}, euler_maruyama{.steps = 120}, 0.04);
    check_distribution<epsilon>(variance_exploding{0.01, 20}, euler_maruyama{.steps = 120, .eta = 0.5}, 0.06);
}

TEST_CASE("euler maruyama: rows depend on nothing but themselves") { check_rows_are_independent(euler_maruyama{}, equal_times(1, 0, 3)); }

TEST_CASE("euler maruyama: one evaluation a step, and no allocation") {
    CHECK(evaluations(euler_maruyama{}, 7) == 7);
    check_allocates_nothing(euler_maruyama{});
}

TEST_CASE("euler maruyama: errors") {
    check_refuses_inversion(euler_maruyama{}, "domain_error: euler_maruyama: a step goes from 0.25 to 0.5, it must go towards the data");
    cpu device(1);
    model const flow{gaussian_data<velocity>{}, rectified_flow{}, velocity{}};
    tensor<float, cpu> x(device, {1, 1});
    CHECK_THROWS_WITH_AS(solve(flow, euler_maruyama{.eta = -1}, {1, 0}, x.view()),
                         "domain_error: euler_maruyama: eta is -1, it must be at least 0", domain_error);
}

TEST_CASE("euler maruyama: is a printable and comparable spec") {
    CHECK(to_string(euler_maruyama{.steps = 8}) == "euler_maruyama{steps = 8, eta = 1, denoise = true}");
    CHECK_FALSE(euler_maruyama{.denoise = false} == euler_maruyama{});
}

}  // namespace euler_maruyama_tests
