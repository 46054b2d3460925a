#include <onestep/evaluation/likelihood.hpp>

#include <onestep/network/check.hpp>
#include <onestep/network/mlp.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/sampler/rk4.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/time/karras_grid.hpp>

#include <doctest/doctest.h>

#include <limits>

#include "../exact_models.hpp"

namespace likelihood_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

constexpr double log_2_pi = 1.8378770664093453;

/// The exact network of a Gaussian, with its derivative.
template <class Target, class Process> struct gaussian_jvp : gaussian_data<Target, Process> {
    void jvp(view<double const, cpu> x, view<double const, cpu> vx, view<double const, cpu> t, view<double const, cpu>, view<double, cpu> y,
             view<double, cpu> vy) const {
        (*this)(x, t, y);
        for (index_t i = 0; i < x.size(); ++i) {
            marginal const m = asked_at<Target>(this->process, t.data()[i / x.cols()]);
            target_weights const w = this->target.weights(m);
            double const s = this->deviation * this->deviation, variance = m.alpha * m.alpha * s + m.sigma * m.sigma;
            vy.data()[i] = (w.x0 * m.alpha * s + w.epsilon * m.sigma) / variance / input_scale_of(this->target, m) * vx.data()[i];
        }
    }
};

/// The exact network of a mixture, with its derivative: that of each component's answer and that of its share.
template <class Target, class Process> struct mixture_jvp : mixture_data<Target, Process> {
    void jvp(view<double const, cpu> x, view<double const, cpu> vx, view<double const, cpu> t, view<double const, cpu>, view<double, cpu> y,
             view<double, cpu> vy) const {
        (*this)(x, t, y);
        for (index_t r = 0; r < x.rows(); ++r) {
            marginal const m = asked_at<Target>(this->process, t.data()[r]);
            target_weights const w = this->target.weights(m);
            double const *at = x.data() + 2 * r, *v = vx.data() + 2 * r;
            double total = 0, mean_slope = 0, moved[2] = {}, mean[2] = {}, together[2] = {};
            for (auto const& c : this->data.components) {
                double const variance = m.alpha * m.alpha * c.deviation * c.deviation + m.sigma * m.sigma;
                double const centred[2] = {at[0] - m.alpha * c.mean[0], at[1] - m.alpha * c.mean[1]};
                double const share = c.weight / variance * std::exp(-(centred[0] * centred[0] + centred[1] * centred[1]) / (2 * variance));
                double const slope = -(centred[0] * v[0] + centred[1] * v[1]) / variance;  // of log share
                double const gain = (w.x0 * m.alpha * c.deviation * c.deviation + w.epsilon * m.sigma) / variance;
                total += share;
                mean_slope += share * slope;
                for (int k = 0; k < 2; ++k) {
                    double const answer = w.x0 * c.mean[static_cast<std::size_t>(k)] + gain * centred[k];
                    mean[k] += share * answer;
                    together[k] += share * slope * answer;
                    moved[k] += share * gain * v[k];
                }
            }
            for (int k = 0; k < 2; ++k) vy.data()[2 * r + k] = (moved[k] + together[k]) / total - mean_slope * mean[k] / (total * total);
        }
    }
};

double log_normal_density(double x, double mean, double deviation) {
    double const z = (x - mean) / deviation;
    return -0.5 * (z * z + log_2_pi) - std::log(deviation);
}

/// What change of variables says of a Gaussian's flow: every element is stretched by the ratio of the spreads.
template <class Net>
std::vector<double> pushed(Net const& net, std::vector<double> const& x, index_t d, double from, double to, double prior) {
    std::vector<double> sums(x.size() / static_cast<std::size_t>(d));
    for (std::size_t i = 0; i < x.size(); ++i)
        sums[i / static_cast<std::size_t>(d)] +=
            log_normal_density(net.flow(x[i], from, to), 0, prior) + std::log(net.spread(to) / net.spread(from));
    return sums;
}

double largest_difference(std::vector<double> const& a, std::vector<double> const& b) {
    double worst = a.size() == b.size() ? 0 : HUGE_VAL;
    for (std::size_t i = 0; i < b.size(); ++i) worst = std::fmax(worst, std::fabs(a[i] - b[i]));
    return worst;
}

/// log of the mixture's density at (alpha, sigma).
double log_density(mixture const& data, double x, double y, double alpha, double sigma) {
    double sum = 0;
    for (auto const& c : data.components) {
        double const deviation = std::hypot(alpha * c.deviation, sigma);
        sum +=
            c.weight * std::exp(log_normal_density(x, alpha * c.mean[0], deviation) + log_normal_density(y, alpha * c.mean[1], deviation));
    }
    return std::log(sum);
}

}  // namespace

TEST_CASE("likelihood: of a Gaussian on five processes and targets") {
    cpu device(1);
    std::vector<double> const values{0.7, -1.2, 1.1, 0.1, -0.4, 0.5};
    tensor<double, cpu> const x(device, {2, 3}, values);
    auto const on = [&](auto const& target, auto const& process, double from, double to, double prior, auto const& grid) {
        using target_type = std::remove_cvref_t<decltype(target)>;
        using process_type = std::remove_cvref_t<decltype(process)>;
        CAPTURE(std::string(process_type::name));
        gaussian_jvp<target_type, process_type> const net{{0.3, 0.5, target, process}};
        model const flow{net, process, target};
        likelihood_options const options{.steps = 800, .data_time = from};
        auto const expected = pushed(net, values, 3, from, to, prior);
        auto const exact = likelihood(flow, x, exact_trace{}, options, {}, grid);
        CHECK(largest_difference(exact.log_density, expected) < 1e-7);
        CHECK(exact.evaluations == 4 * 800 * 3);
        // a diagonal Jacobian: one direction of signs is enough
        auto const by_signs = likelihood(flow, x, rademacher_probes{}, options, {}, grid);
        CHECK(largest_difference(by_signs.log_density, exact.log_density) < 1e-9);
        CHECK(by_signs.evaluations == 4 * 800);
        CHECK(by_signs.mean == doctest::Approx((expected[0] + expected[1]) / 2).epsilon(1e-6));
        CHECK(by_signs.bits_per_dim == doctest::Approx(-by_signs.mean / (3 * std::log(2.0))).epsilon(1e-12));
        CHECK(by_signs.n == 2);
        CHECK(by_signs.d == 3);
    };
    on(velocity{}, rectified_flow{}, 0, 1, 1, uniform_grid{});
    on(x0{}, rectified_flow{}, 0.05, 1, 1, uniform_grid{});
    on(v_prediction{}, variance_preserving{}, 0.01, 1, 1, uniform_grid{});
    on(edm_preconditioned{}, edm{}, 0.002, 80, 80, karras_grid{});
    on(epsilon{}, edm{}, 0, 80, 80, karras_grid{});
    on(v_prediction{}, trigonometric_flow{}, 0, std::atan(160), 0.5, uniform_grid{});
}

TEST_CASE("likelihood: of a mixture is its density") {
    cpu device(1);
    std::vector<double> const values{1.5, 0.5, -1, 1.2, 0.2, -0.3, -0.5, -1.4};
    tensor<double, cpu> const x(device, {4, 2}, values);
    auto const on = [&](auto const& target, auto const& process, double from, double tolerance) {
        using target_type = std::remove_cvref_t<decltype(target)>;
        using process_type = std::remove_cvref_t<decltype(process)>;
        CAPTURE(std::string(process_type::name));
        mixture_jvp<target_type, process_type> const net{{three_clusters(), target, process}};
        auto const report = likelihood(model{net, process, target}, x, exact_trace{}, {.steps = 1000, .data_time = from});
        for (std::size_t r = 0; r < 4; ++r)
            CHECK(report.log_density[r] ==
                  doctest::Approx(log_density(net.data, values[2 * r], values[2 * r + 1], process.alpha(from), process.sigma(from)))
                      .epsilon(tolerance));
    };
    on(velocity{}, rectified_flow{}, 0, 1e-8);
    on(v_prediction{}, variance_preserving{}, 0.01, 3e-3);  // 0.7 % of the signal is left at t_max
    on(v_prediction{}, trigonometric_flow{.sigma_data = 1, .largest_time = 1.5707963267948966}, 0, 1e-8);
}

TEST_CASE("likelihood: the tests' own derivative is right") {
    cpu device(1);
    mixture_jvp<velocity, rectified_flow> const mix{{three_clusters()}};
    tensor<double, cpu> const t(device, {1}, {0.4}), still(device, {1}, {0.0});
    double const h = 1e-5;
    for (auto const& v : {std::vector<double>{1, 0}, std::vector<double>{0.3, -0.8}}) {
        tensor<double, cpu> const x(device, {1, 2}, {0.2, 0.5}), direction(device, {1, 2}, v);
        tensor<double, cpu> const up(device, {1, 2}, {0.2 + h * v[0], 0.5 + h * v[1]}),
            down(device, {1, 2}, {0.2 - h * v[0], 0.5 - h * v[1]});
        tensor<double, cpu> y(device, {1, 2}), vy(device, {1, 2}), high(device, {1, 2}), low(device, {1, 2});
        mix.jvp(x, direction, t, still, y.view(), vy.view());
        mix(up.view(), t.view(), high.view());
        mix(down.view(), t.view(), low.view());
        for (index_t k = 0; k < 2; ++k) CHECK(vy.data()[k] == doctest::Approx((high.data()[k] - low.data()[k]) / (2 * h)).epsilon(1e-7));
    }
}

TEST_CASE("likelihood: converges at fourth order") {
    cpu device(1);
    std::vector<int> const steps{48, 64, 96, 128, 192};
    auto const order = [&](auto const& flow, tensor<double, cpu> const& x, double from, std::vector<double> const& exact) {
        std::vector<double> errors;
        for (int n : steps)
            errors.push_back(largest_difference(likelihood(flow, x, exact_trace{}, {.steps = n, .data_time = from}).log_density, exact));
        return fitted_order(steps, errors);
    };
    tensor<double, cpu> const x(device, {2, 2}, {0.7, -1.2, 1.1, 0.1});
    gaussian_jvp<velocity, rectified_flow> const straight{{0.3, 0.5}};
    CHECK(std::fabs(order(model{straight, rectified_flow{}, velocity{}}, x, 0, pushed(straight, x.to_host(), 2, 0, 1, 1)) - 4) < 0.15);
    mixture_jvp<velocity, rectified_flow> const mix{{three_clusters()}};
    model const by_velocity{mix, rectified_flow{}, velocity{}};
    CHECK(std::fabs(order(by_velocity, x, 0.2, likelihood(by_velocity, x, exact_trace{}, {.steps = 3000, .data_time = 0.2}).log_density) -
                    4) < 0.2);
    mixture_jvp<v_prediction, variance_preserving<>> const bent{{three_clusters()}};
    model const preserving{bent, variance_preserving{}, v_prediction{}};
    CHECK(std::fabs(order(preserving, x, 0.2, likelihood(preserving, x, exact_trace{}, {.steps = 3000, .data_time = 0.2}).log_density) -
                    4) < 0.2);
}

TEST_CASE("likelihood: random directions are unbiased, signs vary less than normals, and many vary less than one") {
    cpu device(1);
    mixture_jvp<velocity, rectified_flow> const net{{three_clusters()}};
    model const flow{net, rectified_flow{}, velocity{}};
    index_t const n = 4000;
    std::vector<double> values;
    for (index_t r = 0; r < n; ++r) values.insert(values.end(), {0.2, -0.3});
    tensor<double, cpu> const x(device, {n, 2}, values);
    double const exact = likelihood(flow, x.view().rows(0, 1), exact_trace{}, {.steps = 8}).log_density[0];
    auto const variance = [&](auto const& rule, std::uint64_t seed) {
        auto const report = likelihood(flow, x, rule, {.steps = 8}, random_key{seed});
        double sum = 0;
        for (double value : report.log_density) sum += (value - report.mean) * (value - report.mean);
        double const found = sum / static_cast<double>(n - 1);
        // a false alarm in one of 1.7 million seeds, if the mean is normal
        CHECK(std::fabs(report.mean - exact) < 5 * std::sqrt(found / static_cast<double>(n)));
        return found;
    };
    double const signs = variance(rademacher_probes{}, 1), normals = variance(normal_probes{}, 2), four = variance(normal_probes{4}, 3);
    CHECK(signs > 0);
    CHECK(signs < 0.8 * normals);
    CHECK(four / normals == doctest::Approx(0.25).epsilon(0.3));
}

TEST_CASE("likelihood: agrees with the determinant of the flow's Jacobian") {
    cpu device(1);
    mlp<double, cpu> net(device, {.data = {3}, .width = 24, .blocks = 1});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.2);
    model const flow{net, variance_preserving{}, v_prediction{}};
    std::vector<double> const start{0.4, -0.9, 1.3};
    std::vector<double> const times = equal_times(0.1, 1, 60);
    auto const end = [&](std::vector<double> const& from) {
        tensor<double, cpu> x(device, {1, 3}, from);
        solve(flow, rk4{}, times, x.view());
        return x.to_host();
    };
    double j[3][3], h = 1e-5;
    for (std::size_t k = 0; k < 3; ++k) {
        std::vector<double> up = start, down = start;
        up[k] += h;
        down[k] -= h;
        auto const a = end(up), b = end(down);
        for (std::size_t i = 0; i < 3; ++i) j[i][k] = (a[i] - b[i]) / (2 * h);
    }
    double const determinant = j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) - j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
                               j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
    double expected = std::log(std::fabs(determinant));
    for (double value : end(start)) expected += log_normal_density(value, 0, 1);
    tensor<double, cpu> const x(device, {1, 3}, start);
    CHECK(likelihood(flow, x, exact_trace{}, {.steps = 60, .data_time = 0.1}).log_density[0] == doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("likelihood: a row is the same in any batch and for any number of threads") {
    std::vector<double> whole;
    for (int threads : {1, 2}) {
        cpu device(threads);
        mixture_jvp<velocity, rectified_flow> const net{{three_clusters()}};
        model const flow{net, rectified_flow{}, velocity{}};
        tensor<double, cpu> const x = normal<double>(device, {64, 2}, 4);
        auto const all = likelihood(flow, x, rademacher_probes{2}, {.steps = 4}, {5}).log_density;
        if (threads == 1) whole = all;
        CHECK(all == whole);
        for (index_t size : {1, 7})
            for (index_t first : {0, 3, 57}) {
                auto const part =
                    likelihood(flow, x.view().rows(first, size), rademacher_probes{2}, {.steps = 4}, random_key{5}.from_row(first));
                CHECK(part.log_density == std::vector<double>(whole.begin() + first, whole.begin() + first + size));
            }
    }
}

TEST_CASE("likelihood: labels go along, and the offset counts grey levels") {
    cpu device(1);
    mlp<float, cpu> net(device, {.data = {2}, .width = 16, .blocks = 1, .classes = 3});
    fill_normal(net.parameters().reshaped({1, net.parameters().size()}), random_key{3}.at(draw::user), 0.3);
    model const flow{net, rectified_flow{}, velocity{}};
    tensor<float, cpu> const x(device, {2, 2}, {0.3f, -0.2f, 0.3f, -0.2f});
    auto const labels = class_labels(device, {0, 2}, 3);
    auto const report = likelihood(flow.given(labels), x, exact_trace{}, {.steps = 10});
    CHECK(report.log_density[0] != report.log_density[1]);
    auto const levels = likelihood(flow.given(labels), x, exact_trace{}, {.steps = 10, .bits_offset = 7});
    CHECK(levels.bits_per_dim == report.bits_per_dim + 7);
    CHECK(static_cast<double>(levels) == levels.bits_per_dim);
    CHECK(to_string(likelihood_report{{}, -12.5, 3.25, 4, 2, 0}) ==
          "likelihood = 3.25 bits a dimension (log density = -12.5 nats, n = 4, d = 2)");
}

TEST_CASE("likelihood: keeps away from times without a velocity, and refuses what it cannot do") {
    cpu device(1);
    // epsilon says nothing of the velocity at t = 1, x0 at t = 0
    gaussian_jvp<epsilon, rectified_flow> const noise{{0.3, 0.5}};
    tensor<double, cpu> const x(device, {1, 2}, {0.7, -0.2});
    double const expected = log_normal_density(0.7, 0.3, 0.5) + log_normal_density(-0.2, 0.3, 0.5);
    CHECK(likelihood(model{noise, rectified_flow{}, epsilon{}}, x, exact_trace{}, {.steps = 400}).mean ==
          doctest::Approx(expected).epsilon(1e-4));
    gaussian_jvp<velocity, rectified_flow> const net{{0.3, 0.5}};
    model const flow{net, rectified_flow{}, velocity{}};
    CHECK_THROWS_WITH_AS(likelihood(flow, x, exact_trace{}, {.steps = 0}), "domain_error: likelihood: steps is 0, at least 1 is needed",
                         domain_error);
    CHECK_THROWS_WITH_AS(likelihood(flow, x, rademacher_probes{0}), "domain_error: rademacher_probes: count is 0, at least 1 is needed",
                         domain_error);
    CHECK_THROWS_WITH_AS(likelihood(flow, tensor<double, cpu>(device, {0, 2})),
                         "shape_error: likelihood: x is empty, at least 1 sample is needed", shape_error);
    CHECK_THROWS_WITH_AS(likelihood(flow, tensor<double, cpu>(device, {2, 1}, {0.5, std::numeric_limits<double>::quiet_NaN()})),
                         doctest::Contains("not_finite_error: likelihood: the log density of sample 1 is "), not_finite_error);
    CHECK_THROWS_WITH_AS(likelihood(flow, x, exact_trace{}, {.data_time = 0.7, .noise_time = 0.5}),
                         "domain_error: likelihood: data_time is 0.7 and noise_time is 0.5, data_time must be less", domain_error);
}

TEST_CASE("likelihood: rules are printable and comparable specs") {
    CHECK(to_string(rademacher_probes{.count = 4}) == "rademacher_probes{count = 4}");
    CHECK(to_string(normal_probes{}) == "normal_probes{count = 1}");
    CHECK(to_string(exact_trace{}) == "exact_trace{}");
    CHECK(rademacher_probes{2} == rademacher_probes{2});
    CHECK_FALSE(normal_probes{2} == normal_probes{});
}

}  // namespace likelihood_tests
