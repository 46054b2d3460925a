#include <onestep/schedule/scaled_linear_schedule.hpp>

#include "table_checks.hpp"

namespace scaled_linear_schedule_tests {

using onestep::scaled_linear_schedule;

TEST_CASE("scaled_linear_schedule: Stable Diffusion's numbers") {
    auto const t = scaled_linear_schedule{}.table();
    CHECK(t.beta.front() == doctest::Approx(0.00085).epsilon(1e-15));
    CHECK(t.beta.back() == doctest::Approx(0.012).epsilon(1e-15));
    double const root = std::sqrt(0.00085) + (std::sqrt(0.012) - std::sqrt(0.00085)) * 250 / 999;
    CHECK(t.beta[250] == doctest::Approx(root * root).epsilon(1e-14));
    CHECK(t.alpha_bar[999] == doctest::Approx(4.6601e-3).epsilon(1e-5));
    CHECK(std::sqrt(t.variance[0] / t.alpha_bar[0]) == doctest::Approx(0.029167).epsilon(1e-5));
    CHECK(std::sqrt(t.variance[999] / t.alpha_bar[999]) == doctest::Approx(14.6146).epsilon(1e-5));
    onestep::test::check_products(t);
}

TEST_CASE("scaled_linear_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((scaled_linear_schedule{.first = -1}.table()),
                         "domain_error: scaled_linear_schedule: first is -1 and last is 0.012, both must be > 0", onestep::domain_error);
    CHECK_THROWS_WITH_AS((scaled_linear_schedule{.steps = -2}.table()),
                         "domain_error: scaled_linear_schedule: steps is -2, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_AS((scaled_linear_schedule{.last = 3}.table()), onestep::domain_error);
}

TEST_CASE("scaled_linear_schedule: prints") {
    CHECK(to_string(scaled_linear_schedule{}) == "scaled_linear_schedule{first = 0.00085, last = 0.012, steps = 1000}");
}

}  // namespace scaled_linear_schedule_tests
