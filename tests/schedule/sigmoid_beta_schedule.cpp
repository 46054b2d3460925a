#include <onestep/schedule/sigmoid_beta_schedule.hpp>

#include "table_checks.hpp"

namespace sigmoid_beta_schedule_tests {

using onestep::sigmoid_beta_schedule;

TEST_CASE("sigmoid_beta_schedule: beta is a sigmoid between its ends") {
    auto const t = sigmoid_beta_schedule{}.table();
    double const low = 1 / (1 + std::exp(6.0));
    CHECK(t.beta.front() == doctest::Approx(1e-4 + 0.0199 * low).epsilon(1e-14));
    CHECK(t.beta.back() == doctest::Approx(0.02 - 0.0199 * low).epsilon(1e-14));
    for (std::size_t i = 0; i < 500; ++i) CHECK(t.beta[i] + t.beta[999 - i] == doctest::Approx(0.0201).epsilon(1e-13));
    CHECK((sigmoid_beta_schedule{.first = 0.1, .last = 0.3, .steps = 3}.table().beta[1]) == doctest::Approx(0.2).epsilon(1e-15));
    onestep::test::check_products(t);
}

TEST_CASE("sigmoid_beta_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((sigmoid_beta_schedule{.steps = 0}.table()),
                         "domain_error: sigmoid_beta_schedule: steps is 0, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS((sigmoid_beta_schedule{.first = 2, .last = 3}.table()), doctest::Contains("sigmoid_beta_schedule: beta[0] is 2.0"),
                         onestep::domain_error);
}

TEST_CASE("sigmoid_beta_schedule: prints") {
    CHECK(to_string(sigmoid_beta_schedule{.steps = 10}) == "sigmoid_beta_schedule{first = 0.0001, last = 0.02, steps = 10}");
}

}  // namespace sigmoid_beta_schedule_tests
