#include <onestep/schedule/sigmoid_schedule.hpp>

#include "table_checks.hpp"

namespace sigmoid_schedule_tests {

using onestep::sigmoid_schedule;

namespace {

auto falling_sigmoid(long double start, long double end, long double tau) {
    return [=](long double t) {
        auto const s = [](long double u) { return 1 / (1 + std::exp(-u)); };
        return (s(end / tau) - s((start + (end - start) * t) / tau)) / (s(end / tau) - s(start / tau));
    };
}

}  // namespace

TEST_CASE("sigmoid_schedule: alpha_bar is a sigmoid from 1 to 0") {
    auto const t = sigmoid_schedule{}.table();
    CHECK(t.alpha_bar[249] == doctest::Approx(0.8508535).epsilon(1e-7));
    CHECK(t.alpha_bar[499] == doctest::Approx(0.5).epsilon(1e-13));
    CHECK(t.alpha_bar[749] == doctest::Approx(0.1491465).epsilon(1e-6));
    CHECK(t.beta.back() == 0.999);
    onestep::test::check_products(t);
}

TEST_CASE("sigmoid_schedule: betas are ratios of it, small ones too") {
    onestep::test::check_ratios(sigmoid_schedule{}.table(), 0.999, falling_sigmoid(-3, 3, 1));
    onestep::test::check_ratios(sigmoid_schedule{.start = 0, .end = 3, .tau = 0.7, .cap = 0.9, .steps = 64}.table(), 0.9,
                                falling_sigmoid(0, 3, 0.7));
}

TEST_CASE("sigmoid_schedule: without a cap it ends at exactly 0") {
    auto const t = sigmoid_schedule{.cap = 1, .steps = 10}.table();
    CHECK(t.alpha_bar[9] == 0);
    CHECK(t.alpha_bar[4] == doctest::Approx(0.5).epsilon(1e-14));
}

TEST_CASE("sigmoid_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((sigmoid_schedule{.start = 3, .end = -3}.table()),
                         "domain_error: sigmoid_schedule: start is 3, end is -3 and tau is 1, -700 tau <= start < end <= 700 tau is needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((sigmoid_schedule{.tau = 0}.table()), doctest::Contains("and tau is 0, -700 tau"), onestep::domain_error);
    CHECK_THROWS_WITH_AS((sigmoid_schedule{.tau = 0.001}.table()), doctest::Contains("and tau is 0.001, -700 tau"), onestep::domain_error);
    CHECK_THROWS_WITH_AS((sigmoid_schedule{.cap = 2}.table()), "domain_error: sigmoid_schedule: cap is 2, it must lie in (0, 1]",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((sigmoid_schedule{.steps = 0}.table()), "domain_error: sigmoid_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
}

TEST_CASE("sigmoid_schedule: prints") {
    CHECK(to_string(sigmoid_schedule{}) == "sigmoid_schedule{start = -3, end = 3, tau = 1, cap = 0.999, steps = 1000}");
}

}  // namespace sigmoid_schedule_tests
