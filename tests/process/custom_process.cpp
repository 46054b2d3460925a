#include <onestep/process/custom_process.hpp>

#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>

#include "path_checks.hpp"

namespace custom_process_tests {

using onestep::custom_process;

namespace {

auto const line_down = [](auto t) { return 1 - t; };
auto const line_up = [](auto t) { return t; };
auto const quadratic = [](auto t) { return 1 - t * t; };
auto const one = [](auto) { return 1.0; };
auto const cosine = [](auto t) { return cos(t); };
auto const half_sine = [](auto t) { return 0.5 * sin(t); };
auto const root = [](auto t) { return sqrt(t); };
auto const vp_alpha = [](auto t) { return exp(-0.5 * t * (0.1 + 9.95 * t)); };
auto const vp_sigma = [](auto t) { return sqrt(-expm1(-t * (0.1 + 9.95 * t))); };

struct straight_alpha {
    template <class T> T operator()(T t) const { return 1 - t; }
};
struct straight_sigma {
    template <class T> T operator()(T t) const { return t; }
};

}  // namespace

static_assert(onestep::process<decltype(custom_process{quadratic, line_up})>);
static_assert(onestep::spec<decltype(custom_process{quadratic, line_up})>);
static_assert(!onestep::scalar_function<double (*)(double)> && onestep::real_function<double (*)(double)>);

TEST_CASE("custom_process: derivatives, log-SNR and inverse follow from alpha and sigma") {
    onestep::test::check_path(custom_process{quadratic, line_up}, 0, 1);
    onestep::test::check_path(custom_process{one, root, {.from = 0, .to = 9}}, 0, 9);
    onestep::test::check_path(custom_process{cosine, half_sine, {.from = 0, .to = 1.5}}, 0, 1.5);
    onestep::test::check_path(custom_process{vp_alpha, vp_sigma, {.from = 1e-3, .to = 1}}, 1e-3, 1);
}

TEST_CASE("custom_process: says what the library's own processes say") {
    custom_process const line{line_down, line_up};
    custom_process const turn{cosine, half_sine, {.from = 0, .to = 1.5}};
    custom_process const vp{vp_alpha, vp_sigma, {.from = 1e-3, .to = 1}};
    auto const same = [](auto const& mine, auto const& theirs, double low, double high) {
        onestep::test::at_random_times(low, high, 500, [&](double t) {
            CAPTURE(t);
            CHECK(mine.alpha(t) == doctest::Approx(theirs.alpha(t)).epsilon(1e-14));
            CHECK(mine.sigma(t) == doctest::Approx(theirs.sigma(t)).epsilon(1e-14));
            CHECK(mine.alpha_derivative(t) == doctest::Approx(theirs.alpha_derivative(t)).epsilon(1e-14));
            CHECK(mine.sigma_derivative(t) == doctest::Approx(theirs.sigma_derivative(t)).epsilon(1e-14));
            CHECK(std::fabs(mine.log_snr(t) - theirs.log_snr(t)) < 1e-13);
            CHECK(std::fabs(mine.time_of_log_snr(theirs.log_snr(t)) - t) < 1e-14);
        });
    };
    same(line, onestep::rectified_flow{}, 0, 1);
    same(turn, onestep::trigonometric_flow{}, 0, 1.5);
    same(vp, onestep::variance_preserving{}, 1e-3, 1);
}

TEST_CASE("custom_process: the inverse is good to the last bits, close to both ends too") {
    custom_process const p{line_down, line_up};
    for (double t : {1e-300, 1e-100, 1e-20, 1e-9, 1e-3, 0.3, 0.5}) {
        // An error of one bit in the log-SNR moves t by |log SNR| t bits.
        double const value = p.log_snr(t);
        CHECK(p.time_of_log_snr(value) == doctest::Approx(t).epsilon(3e-16 * (1 + std::fabs(value))));
    }
    CHECK(p.time_of_log_snr(p.log_snr(1 - 1e-9)) == doctest::Approx(1 - 1e-9).epsilon(1e-15));
    CHECK(p.time_of_log_snr(HUGE_VAL) == 0);
    CHECK(p.time_of_log_snr(-HUGE_VAL) == 1);
    CHECK(p.time_of_log_snr(0) == 0.5);
}

TEST_CASE("custom_process: the inverse takes few evaluations") {
    int calls = 0;
    auto const counted = [&](double t) {
        ++calls;
        return t;
    };
    auto const falling = [](double t) { return 1 - t; };
    custom_process const p{falling, counted, [](double) { return -1.0; }, [](double) { return 1.0; }};
    int worst = 0;
    for (double value = -12; value <= 12; value += 0.7) {
        calls = 0;
        p.time_of_log_snr(value);
        worst = std::max(worst, calls);
    }
    CHECK(worst < 40);  // two for every step, one for each end
}

TEST_CASE("custom_process: derivatives of one's own replace those by dual numbers") {
    auto const alpha = [](double t) { return 1 - t; };
    auto const sigma = [](double t) { return t; };
    custom_process const p{alpha, sigma, [](double) { return -3.0; }, [](double) { return 4.0; }, {.from = 0, .to = 0.5}, "mine"};
    CHECK(p.alpha_derivative(0.2) == -3);
    CHECK(p.sigma_derivative(0.2) == 4);
    CHECK(p.t_max() == 0.5);
}

TEST_CASE("custom_process: the ends and what rounding does there") {
    custom_process const p{[](auto t) { return 1 - t - 1e-17; }, [](auto t) { return t; }};
    CHECK(p.log_snr(1) == -HUGE_VAL);  // alpha is below 0
    CHECK(onestep::log_snr_derivative(custom_process{line_down, line_up}, 0) == -HUGE_VAL);
    CHECK(onestep::prior_scale_of(custom_process{one, root, {.from = 0, .to = 9}}) == 3);
    // a last bit outside is an end
    custom_process const cut{line_down, line_up, {.from = 0.25, .to = 0.75}};
    CHECK(cut.time_of_log_snr(cut.log_snr(0.25) * (1 + 1e-15)) == 0.25);
    CHECK(cut.time_of_log_snr(cut.log_snr(0.75) * (1 + 1e-15)) == 0.75);
}

TEST_CASE("custom_process: refuses an empty range and a log-SNR that it does not reach") {
    CHECK_THROWS_WITH_AS((custom_process{line_down, line_up, {.from = 1, .to = 1}, "mine"}),
                         "domain_error: custom_process (mine): the range goes from 1 to 1, it must be finite and not empty",
                         onestep::domain_error);
    CHECK_THROWS_AS((custom_process{line_down, line_up, {.from = 0, .to = HUGE_VAL}}), onestep::domain_error);
    custom_process const cut{line_down, line_up, {.from = 0.5, .to = 1}, "cut"};
    CHECK_THROWS_WITH_AS(cut.time_of_log_snr(3),
                         "domain_error: custom_process (cut): log_snr is 3, between t = 0.5 and t = 1 it goes from 0 to -inf",
                         onestep::domain_error);
    CHECK_THROWS_AS(cut.time_of_log_snr(HUGE_VAL), onestep::domain_error);
    CHECK_THROWS_AS(cut.time_of_log_snr(std::nan("")), onestep::domain_error);
}

TEST_CASE("custom_process: prints its label and range, compares where its callables do") {
    CHECK(to_string(custom_process{quadratic, line_up, {}, "quadratic"}) == "custom_process{label = quadratic, from = 0, to = 1}");
    CHECK(to_string(custom_process{quadratic, line_up}) == "custom_process{label = unnamed, from = 0, to = 1}");
    custom_process const straight{straight_alpha{}, straight_sigma{}};
    CHECK(straight.log_snr(0.5) == 0);
}

}  // namespace custom_process_tests
