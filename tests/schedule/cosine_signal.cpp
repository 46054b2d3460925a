#include <onestep/schedule/cosine_signal.hpp>

#include <onestep/schedule/cosine_schedule.hpp>

#include "signal_checks.hpp"

namespace cosine_signal_tests {

using onestep::cosine_signal;

TEST_CASE("cosine_signal: derivative and inverse") {
    onestep::test::check_signal(cosine_signal{}, 0, 1);
    onestep::test::check_signal(cosine_signal{.offset = 0}, 0, 1);
    onestep::test::check_signal(cosine_signal{.offset = 0.5}, 0, 1);
}

TEST_CASE("cosine_signal: the cosine itself") {
    cosine_signal const s;
    for (double t : {0.0, 1e-9, 1e-4, 0.1, 0.5, 0.7, 0.9, 0.99}) {
        CAPTURE(t);
        long double const quarter = 1.57079632679489661923L, offset = static_cast<long double>(0.008);
        long double const exact = std::log(std::cos((t + offset) / (1 + offset) * quarter) / std::cos(offset / (1 + offset) * quarter));
        CHECK(std::fabs(s.log_alpha(t) - static_cast<double>(exact)) < 2e-15 * (std::fabs(static_cast<double>(exact)) + 1e-3));
    }
}

TEST_CASE("cosine_signal: goes with the table of the same name") {
    auto const table = onestep::cosine_schedule{.cap = 1}.table();
    for (std::size_t i : {0u, 99u, 499u, 899u, 998u})
        CHECK(2 * cosine_signal{}.log_alpha(static_cast<double>(i + 1) / 1000) ==
              doctest::Approx(std::log(table.alpha_bar[i])).epsilon(1e-11));
}

TEST_CASE("cosine_signal: alpha is exactly 1 and 0 at the ends, its derivative finite") {
    cosine_signal const s;
    CHECK(s.log_alpha(0) == 0);
    CHECK(s.log_alpha(1) == -HUGE_VAL);
    CHECK(s.log_alpha_derivative(1) == -HUGE_VAL);
    CHECK(s.alpha_derivative(1) ==
          doctest::Approx(-1.5707963267948966 / 1.008 / std::cos(1.5707963267948966 * 0.008 / 1.008)).epsilon(1e-14));
    CHECK(s.time_of_log_alpha(0) == 0);
    CHECK(s.time_of_log_alpha(-HUGE_VAL) == 1);
    CHECK(cosine_signal{.offset = 0}.time_of_log_alpha(0) == 0);
    for (double t : {1e-12, 1e-8, 1e-4}) CHECK(s.time_of_log_alpha(s.log_alpha(t)) == doctest::Approx(t).epsilon(1e-13));
}

TEST_CASE("cosine_signal: its range, and fields that make no schedule") {
    CHECK(cosine_signal{}.t_min() == 1e-3);
    CHECK(cosine_signal{}.t_max() == 0.9946);
    CHECK(std::exp(cosine_signal{}.log_alpha(0.9946)) == doctest::Approx(0.0084).epsilon(3e-3));
    CHECK_THROWS_WITH_AS((cosine_signal{.offset = -1}.t_min()), "domain_error: cosine_signal: offset is -1, it must be >= 0",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(
        (cosine_signal{.smallest_time = 0.5, .largest_time = 0.5}.t_max()),
        "domain_error: cosine_signal: smallest_time is 0.5 and largest_time is 0.5, 0 <= smallest_time < largest_time <= 1 is needed",
        onestep::domain_error);
    CHECK_THROWS_AS((cosine_signal{.largest_time = 1.1}.t_max()), onestep::domain_error);
}

TEST_CASE("cosine_signal: prints") {
    CHECK(to_string(cosine_signal{}) == "cosine_signal{offset = 0.008, smallest_time = 0.001, largest_time = 0.9946}");
}

}  // namespace cosine_signal_tests
