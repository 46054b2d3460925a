#include <onestep/sampler/predictor_corrector.hpp>

#include "stochastic.hpp"

namespace predictor_corrector_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

predictor_corrector const predictor{.corrections = 0, .denoise = false};

/// Mean and variance of all elements of samples of data N(0.3, 0.5^2) in 64 dimensions.
template <class Process, class Solver> moments moments_of_samples(Process const& p, Solver const& solver) {
    cpu device;
    model const exact{gaussian_data<v_prediction, Process>{0.3, 0.5, {}, p}, p, v_prediction{}};
    std::vector<double> const x = sample(exact, solver, normal<double>(device, {400, 64}, 21), uniform_grid{}, random_key{22}).to_host();
    double sum = 0, squares = 0;
    for (double value : x) sum += value, squares += value * value;
    double const n = static_cast<double>(x.size());
    return {sum / n, squares / n - sum * sum / (n * n)};
}

}  // namespace

TEST_CASE("predictor corrector: order 1 in mean and variance without corrections") { check_weak_order(predictor, 1); }

TEST_CASE("predictor corrector: the predictor is the process's own step run backwards") {
    // variance preserving: x + (1 - sqrt(1 - beta)) x + beta score, noise sqrt(beta)
    discrete<> const vp;
    cpu device(1);
    double const data = 0.375;
    for (std::size_t i : {1u, 500u, 999u}) {
        double const beta = vp.table().beta[i], bar = vp.table().alpha_bar[i];
        model const flow{[=](auto, auto, auto y) { fill(y, data); }, vp, x0{}};
        affine_law const law = laws_of(flow, predictor, {static_cast<double>(i + 1), static_cast<double>(i)}).front();
        CHECK(law.a == doctest::Approx(2 - std::sqrt(1 - beta) - beta / (1 - bar)).epsilon(1e-10));
        CHECK(law.b == doctest::Approx(beta * std::sqrt(bar) * data / (1 - bar)).epsilon(1e-9));
        CHECK(law.d == doctest::Approx(std::sqrt(beta)).epsilon(1e-9));
    }
    // variance exploding: x + G^2 score, noise G with G^2 = sigma_t^2 - sigma_s^2
    variance_exploding const ve;
    double const high = ve.sigma(0.8), low = ve.sigma(0.75), square = high * high - low * low;
    model const flow{[=](auto, auto, auto y) { fill(y, data); }, ve, x0{}};
    affine_law const law = laws_of(flow, predictor, {0.8, 0.75}).front();
    CHECK(law.a == doctest::Approx(1 - square / (high * high)).epsilon(1e-9));
    CHECK(law.b == doctest::Approx(square / (high * high) * data).epsilon(1e-9));
    CHECK(law.d == doctest::Approx(std::sqrt(square)).epsilon(1e-12));
}

TEST_CASE("predictor corrector: a correction is a Langevin step with the row's own norms") {
    variance_preserving<> const p;
    double const t = 0.5, s = 0.48, snr = 0.2, alpha = p.alpha(t), variance = p.sigma(t) * p.sigma(t), a = alpha / p.alpha(s);
    gaussian_data<epsilon, variance_preserving<>> const net{0.3, 0.5, {}, p};
    auto const score_at = [&](double x) { return -(x - 0.3 * alpha) / (0.25 * alpha * alpha + variance); };
    for (index_t cols : {1, 2, 5, 8}) {
        CAPTURE(cols);
        cpu device(1);
        tensor<double, cpu> const start = normal<double>(device, {3, cols}, 2);
        tensor<double, cpu> x = start, first(device, {3, cols}), second(device, {3, cols}), last(device, {3, cols});
        CHECK(solve(model{net, p, epsilon{}}, predictor_corrector{.corrections = 2, .snr = snr, .denoise = false}, {t, s}, x.view(), {3}) ==
              3);
        fill_normal(first.view(), random_key{3}.at(draw::solver, 1));
        fill_normal(second.view(), random_key{3}.at(draw::solver, 2));
        fill_normal(last.view(), random_key{3}.at(draw::solver));
        transition const c = transition_of(p, t, s);
        std::vector<double> wanted;
        for (index_t r = 0; r < 3; ++r) {
            std::vector<double> row(start.data() + r * cols, start.data() + (r + 1) * cols);
            for (auto const* z : {&first, &second}) {
                double noise = 0, score = 0;
                for (index_t k = 0; k < cols; ++k) {
                    noise += std::pow(z->data()[r * cols + k], 2);
                    score += std::pow(score_at(row[static_cast<std::size_t>(k)]), 2);
                }
                double const e = 2 * a * a * std::pow(snr * std::sqrt(noise) / std::sqrt(score), 2);
                for (index_t k = 0; k < cols; ++k) {
                    double& value = row[static_cast<std::size_t>(k)];
                    value += e * score_at(value) + std::sqrt(2 * e) * z->data()[r * cols + k];
                }
            }
            for (index_t k = 0; k < cols; ++k) {
                double const value = row[static_cast<std::size_t>(k)];
                wanted.push_back((2 - a) * value + c.large_variance * score_at(value) +
                                 std::sqrt(c.large_variance) * last.data()[r * cols + k]);
            }
        }
        CHECK(relative_to(x.to_host(), wanted) < 1e-11);
    }
}

TEST_CASE("predictor corrector: a score of zero moves nothing") {
    cpu device(1);
    model const flow{[](auto, auto, auto y) { fill(y, 0); }, edm{}, epsilon{}};
    tensor<float, cpu> const start(device, {2, 3}, {1, -2, 3, 0.5f, 0, 7});
    tensor<float, cpu> x = start, y = start;
    solve(flow, predictor_corrector{.corrections = 2}, {4, 3, 2}, x.view(), {3});
    solve(flow, predictor_corrector{.corrections = 0}, {4, 3, 2}, y.view(), {3});
    for (float value : x.to_host()) CHECK(std::isfinite(value));
    CHECK(x.to_host() == y.to_host());
}

TEST_CASE("predictor corrector: any number of corrections, each one evaluation, none from alpha 0") {
    CHECK(evaluations(predictor_corrector{}, 1) == 1);
    CHECK(evaluations(predictor_corrector{}, 7) == 13);
    CHECK(evaluations(predictor_corrector{.corrections = 0}, 7) == 7);
    CHECK(evaluations(predictor_corrector{.corrections = 20}, 3) == 43);
    check_allocates_nothing(predictor_corrector{.corrections = 3});
}

TEST_CASE("predictor corrector: the last prediction is its mean unless noise is wanted") {
    rectified_flow const p;
    model const flow{gaussian_data<velocity>{0.3, 0.5}, p, velocity{}};
    auto const quiet = laws_of(flow, predictor_corrector{.corrections = 0}, equal_times(0.9, 0.3, 3));
    auto const noisy = laws_of(flow, predictor, equal_times(0.9, 0.3, 3));
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(std::fabs(quiet[i].d - (i < 2 ? noisy[i].d : 0)) < 1e-12);
        CHECK(quiet[i].a == doctest::Approx(noisy[i].a).epsilon(1e-11));
    }
}

TEST_CASE("predictor corrector: zero terminal SNR, the data, and one step") {
    check_ends(predictor_corrector{});
    check_ends(predictor);
}

TEST_CASE("predictor corrector: a limited clean sample limits the score") {
    cpu device(1);
    model const flow{[](auto, auto, auto y) { fill(y, 2.0); }, edm{}, x0{}};
    model const bounded{[](auto, auto, auto y) { fill(y, 1.0); }, edm{}, x0{}};
    tensor<double, cpu> const start(device, {2, 2}, {1, -2, 3, 0.5});
    tensor<double, cpu> x = start, y = start;
    solve(limited{flow, clip{-1, 1}}, predictor_corrector{}, {4, 3, 2}, x.view(), {3});
    solve(bounded, predictor_corrector{}, {4, 3, 2}, y.view(), {3});
    CHECK(x.to_host() == y.to_host());
}

TEST_CASE("predictor corrector: samples have the distribution of the data") {
    check_distribution<velocity>(rectified_flow{}, predictor_corrector{.steps = 80, .corrections = 0}, 0.03);
    check_distribution<epsilon>(variance_preserving<>{}, predictor_corrector{.steps = 120, .corrections = 0}, 0.04);
    // 25,600 elements: five standard errors of the mean are 0.016, of the variance 0.011, and chance alone exceeds one of the six with
    // probability 3e-6. Steps of finite length take up the rest.
    auto const check = [](auto const& p) {
        moments const found = moments_of_samples(p, predictor_corrector{.steps = 50});
        CHECK(std::fabs(found.mean - 0.3) < 0.02);
        CHECK(std::fabs(found.variance - 0.25) < 0.03);
    };
    check(rectified_flow{});
    check(variance_preserving<>{});
    check(variance_exploding{0.01, 20});
}

TEST_CASE("predictor corrector: corrections mend what the predictor left wrong") {
    // Few steps: the predictor alone has the wrong variance.
    variance_preserving<> const p;
    double const alone = std::fabs(moments_of_samples(p, predictor_corrector{.steps = 15, .corrections = 0}).variance - 0.25);
    double const mended = std::fabs(moments_of_samples(p, predictor_corrector{.steps = 15, .corrections = 4}).variance - 0.25);
    CAPTURE(alone);
    CAPTURE(mended);
    CHECK(mended < 0.5 * alone);
}

TEST_CASE("predictor corrector: rows depend on nothing but themselves") {
    check_rows_are_independent(predictor_corrector{.corrections = 2}, equal_times(1, 0, 3));
}

TEST_CASE("predictor corrector: errors") {
    check_refuses_inversion(predictor_corrector{},
                            "domain_error: transition_of: s is 0.5 and t is 0.25, a step goes towards the data: s <= t");
    check_refuses_inversion(predictor_corrector{.corrections = -1},
                            "domain_error: predictor_corrector: corrections is -1, it must be at least 0");
    check_refuses_inversion(predictor_corrector{.snr = 0}, "domain_error: predictor_corrector: snr is 0, it must be positive");
}

TEST_CASE("predictor corrector: is a printable and comparable spec") {
    CHECK(to_string(predictor_corrector{.steps = 8}) == "predictor_corrector{steps = 8, corrections = 1, snr = 0.16, denoise = true}");
    CHECK_FALSE(predictor == predictor_corrector{});
}

}  // namespace predictor_corrector_tests
