#include <onestep/schedule/constant_schedule.hpp>

#include "table_checks.hpp"

namespace constant_schedule_tests {

using onestep::constant_schedule;

TEST_CASE("constant_schedule: powers of 1 - beta") {
    auto const t = constant_schedule{.beta = 0.01, .steps = 500}.table();
    for (std::size_t i : {0u, 9u, 499u})
        CHECK(t.alpha_bar[i] == doctest::Approx(std::pow(0.99, static_cast<double>(i + 1))).epsilon(1e-13));
    onestep::test::check_products(t);
    CHECK(constant_schedule{}.table().beta == std::vector<double>(1000, 0.02));
}

TEST_CASE("constant_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((constant_schedule{.steps = 0}.table()), "domain_error: constant_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((constant_schedule{.beta = 0}.table()), doctest::Contains("constant_schedule: beta[0] is 0, every beta"),
                         onestep::domain_error);
}

TEST_CASE("constant_schedule: prints") { CHECK(to_string(constant_schedule{}) == "constant_schedule{beta = 0.02, steps = 1000}"); }

}  // namespace constant_schedule_tests
