#include <onestep/schedule/linear_schedule.hpp>

#include "table_checks.hpp"

namespace linear_schedule_tests {

using onestep::linear_schedule;

TEST_CASE("linear_schedule: DDPM's numbers") {
    auto const t = linear_schedule{}.table();
    CHECK(t.name == "linear_schedule");
    CHECK(t.steps() == 1000);
    CHECK(t.beta.front() == 1e-4);
    CHECK(t.beta.back() == 0.02);
    CHECK(t.beta[500] == doctest::Approx(1e-4 + 0.0199 * 500 / 999).epsilon(1e-15));
    CHECK(t.alpha_bar[500] == doctest::Approx(0.07779665836502386).epsilon(1e-14));
    CHECK(t.alpha_bar[999] == doctest::Approx(4.0358e-5).epsilon(1e-5));
    CHECK(std::sqrt(t.variance[0] / t.alpha_bar[0]) == doctest::Approx(0.0100005).epsilon(1e-7));
    CHECK(std::sqrt(t.variance[999] / t.alpha_bar[999]) == doctest::Approx(157.4073).epsilon(1e-6));
    onestep::test::check_products(t);
}

TEST_CASE("linear_schedule: one step takes the first beta") {
    auto const t = linear_schedule{.first = 0.3, .last = 0.9, .steps = 1}.table();
    CHECK(t.beta == std::vector<double>{0.3});
    CHECK(linear_schedule{.first = 0.1, .last = 0.5, .steps = 3}.table().beta[1] == doctest::Approx(0.3).epsilon(1e-15));
}

TEST_CASE("linear_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS(linear_schedule{.steps = 0}.table(), "domain_error: linear_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(linear_schedule{.first = -0.1}.table(), doctest::Contains("linear_schedule: beta[0] is -0.1"),
                         onestep::domain_error);
    CHECK_THROWS_AS((linear_schedule{.last = 2}.table()), onestep::domain_error);
}

TEST_CASE("linear_schedule: prints and compares") {
    CHECK(to_string(linear_schedule{}) == "linear_schedule{first = 0.0001, last = 0.02, steps = 1000}");
    CHECK(linear_schedule{} == linear_schedule{});
    CHECK_FALSE(linear_schedule{} == linear_schedule{.steps = 999});
}

}  // namespace linear_schedule_tests
