#include <onestep/schedule/exponential_schedule.hpp>

#include "table_checks.hpp"

namespace exponential_schedule_tests {

using onestep::exponential_schedule;

TEST_CASE("exponential_schedule: alpha_bar falls like exp(-12 t)") {
    auto const t = exponential_schedule{}.table();
    for (std::size_t i : {0u, 99u, 499u, 999u})
        CHECK(t.alpha_bar[i] == doctest::Approx(std::exp(-12 * static_cast<double>(i + 1) / 1000)).epsilon(1e-13));
    onestep::test::check_ratios(t, 0.999, [](long double u) { return std::exp(-12 * u); });
    onestep::test::check_products(t);
}

TEST_CASE("exponential_schedule: the cap holds") {
    CHECK((exponential_schedule{.steps = 1}.table().beta[0]) == 0.999);
    CHECK((exponential_schedule{.cap = 0.5, .steps = 2}.table().alpha_bar[1]) == 0.25);
}

TEST_CASE("exponential_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((exponential_schedule{.rate = 0}.table()), "domain_error: exponential_schedule: rate is 0, it must be > 0",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((exponential_schedule{.cap = 1}.table()), "domain_error: exponential_schedule: cap is 1, it must lie in (0, 1)",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((exponential_schedule{.steps = 0}.table()), "domain_error: exponential_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
}

TEST_CASE("exponential_schedule: prints") {
    CHECK(to_string(exponential_schedule{}) == "exponential_schedule{rate = 12, cap = 0.999, steps = 1000}");
}

}  // namespace exponential_schedule_tests
