#include <onestep/schedule/log_snr_cosine.hpp>

#include <onestep/process/variance_preserving.hpp>

#include "signal_checks.hpp"

namespace log_snr_cosine_tests {

using onestep::log_snr_cosine;

TEST_CASE("log_snr_cosine: derivative and inverse") {
    onestep::test::check_signal(log_snr_cosine{}, 0, 1);
    onestep::test::check_signal(log_snr_cosine{.log_snr_min = -3, .log_snr_max = 5}, 0, 1);
    onestep::test::check_signal(log_snr_cosine{.log_snr_min = 1, .log_snr_max = 5}, 0, 1);
}

TEST_CASE("log_snr_cosine: the published formula of the log-SNR") {
    onestep::variance_preserving const p{log_snr_cosine{}};
    double const b = std::atan(std::exp(-10.0)), a = std::atan(std::exp(10.0)) - b;
    for (double t : {0.0, 0.1, 0.3, 0.5, 0.8, 0.95}) CHECK(std::fabs(p.log_snr(t) + 2 * std::log(std::tan(a * t + b))) < 1e-13);
    CHECK(p.log_snr(0) == doctest::Approx(20).epsilon(1e-15));
    CHECK(p.log_snr(1) == doctest::Approx(-20).epsilon(1e-15));
    CHECK(std::fabs(p.log_snr(0.5)) < 1e-14);
}

TEST_CASE("log_snr_cosine: its range, and fields that make no schedule") {
    CHECK(log_snr_cosine{}.t_min() == 0);
    CHECK(log_snr_cosine{}.t_max() == 1);
    CHECK_THROWS_WITH_AS(
        (log_snr_cosine{.log_snr_min = 20}.t_max()),
        "domain_error: log_snr_cosine: log_snr_min is 20 and log_snr_max is 20, log_snr_min < log_snr_max, both finite, is needed",
        onestep::domain_error);
    CHECK_THROWS_AS((log_snr_cosine{.log_snr_max = HUGE_VAL}.t_min()), onestep::domain_error);
}

TEST_CASE("log_snr_cosine: prints") { CHECK(to_string(log_snr_cosine{}) == "log_snr_cosine{log_snr_min = -20, log_snr_max = 20}"); }

}  // namespace log_snr_cosine_tests
