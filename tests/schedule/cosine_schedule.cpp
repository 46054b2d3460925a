#include <onestep/schedule/cosine_schedule.hpp>

#include "table_checks.hpp"

namespace cosine_schedule_tests {

using onestep::cosine_schedule;

namespace {

long double squared_cosine(long double t, long double offset) {
    long double const c = std::cos((t + offset) / (1 + offset) * 1.57079632679489661923L);
    return c * c;
}

}  // namespace

TEST_CASE("cosine_schedule: iDDPM's numbers") {
    auto const t = cosine_schedule{}.table();
    CHECK(t.beta[0] == doctest::Approx(4.128e-5).epsilon(2e-4));
    CHECK(t.beta[997] == doctest::Approx(0.5556).epsilon(1e-4));
    CHECK(t.beta[998] == doctest::Approx(0.75).epsilon(1e-4));
    CHECK(t.beta[999] == 0.999);
    CHECK(t.alpha_bar[999] == doctest::Approx(2.4e-9).epsilon(0.02));
    onestep::test::check_products(t);
}

TEST_CASE("cosine_schedule: betas are ratios of the squared cosine, small ones too") {
    onestep::test::check_ratios(cosine_schedule{}.table(), 0.999, [](long double t) { return squared_cosine(t, 0.008L); });
    onestep::test::check_ratios(cosine_schedule{.offset = 0.1, .cap = 0.5, .steps = 37}.table(), 0.5,
                                [](long double t) { return squared_cosine(t, 0.1L); });
    onestep::test::check_ratios(cosine_schedule{.offset = 0, .steps = 2000}.table(), 0.999,
                                [](long double t) { return squared_cosine(t, 0); });
}

TEST_CASE("cosine_schedule: without a cap it ends at exactly 0") {
    auto const t = cosine_schedule{.cap = 1}.table();
    CHECK(t.beta[999] == 1);
    CHECK(t.alpha_bar[999] == 0);
    CHECK(t.alpha_bar[499] ==
          doctest::Approx(static_cast<double>(squared_cosine(0.5L, 0.008L) / squared_cosine(0, 0.008L))).epsilon(1e-13));
    CHECK(cosine_schedule{.cap = 1, .steps = 1}.table().beta == std::vector<double>{1});
}

TEST_CASE("cosine_schedule: refuses what makes no table") {
    CHECK_THROWS_WITH_AS((cosine_schedule{.steps = 0}.table()), "domain_error: cosine_schedule: steps is 0, at least 1 is needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((cosine_schedule{.offset = -0.1}.table()), "domain_error: cosine_schedule: offset is -0.1, it must be >= 0",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((cosine_schedule{.cap = 1.5}.table()), "domain_error: cosine_schedule: cap is 1.5, it must lie in (0, 1]",
                         onestep::domain_error);
    CHECK_THROWS_AS((cosine_schedule{.cap = 0}.table()), onestep::domain_error);
    CHECK_THROWS_AS((cosine_schedule{.offset = std::nan("")}.table()), onestep::domain_error);
}

TEST_CASE("cosine_schedule: prints") {
    CHECK(to_string(cosine_schedule{}) == "cosine_schedule{offset = 0.008, cap = 0.999, steps = 1000}");
}

}  // namespace cosine_schedule_tests
