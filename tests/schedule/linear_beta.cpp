#include <onestep/schedule/linear_beta.hpp>

#include "signal_checks.hpp"

namespace linear_beta_tests {

using onestep::linear_beta;

TEST_CASE("linear_beta: derivative and inverse") {
    onestep::test::check_signal(linear_beta{}, 0, 1);
    onestep::test::check_signal(linear_beta{.beta_min = 3, .beta_max = 0.5}, 0, 1);
    onestep::test::check_signal(linear_beta{.beta_min = 2, .beta_max = 2}, 0, 1);
    onestep::test::check_signal(linear_beta{.beta_min = 0, .beta_max = 8}, 0, 1);
}

TEST_CASE("linear_beta: half the integral of beta") {
    linear_beta const s;
    CHECK(s.log_alpha(1) == doctest::Approx(-0.5 * (0.1 + 19.9 / 2)).epsilon(1e-15));
    CHECK(s.log_alpha(0.5) == doctest::Approx(-0.5 * (0.05 + 19.9 / 8)).epsilon(1e-15));
    CHECK(s.log_alpha_derivative(0) == -0.05);
    CHECK(s.log_alpha_derivative(1) == -10);
}

TEST_CASE("linear_beta: the inverse keeps its digits close to the data and at the ends") {
    linear_beta const s;
    for (double t : {1e-15, 1e-12, 1e-9, 1e-6}) CHECK(s.time_of_log_alpha(s.log_alpha(t)) == doctest::Approx(t).epsilon(1e-14));
    CHECK(s.time_of_log_alpha(0) == 0);
    CHECK(linear_beta{.beta_min = 0}.time_of_log_alpha(0) == 0);
    CHECK(s.time_of_log_alpha(-HUGE_VAL) == HUGE_VAL);
}

TEST_CASE("linear_beta: its range, and fields that make no schedule") {
    CHECK(linear_beta{}.t_min() == 1e-3);
    CHECK(linear_beta{.smallest_time = 1e-5}.t_min() == 1e-5);
    CHECK(linear_beta{}.t_max() == 1);
    CHECK_THROWS_WITH_AS((linear_beta{.beta_min = -1}.t_min()),
                         "domain_error: linear_beta: beta_min is -1 and beta_max is 20, 0 <= beta_min and 0 < beta_max are needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS((linear_beta{.beta_max = 0}.t_max()), doctest::Contains("beta_max is 0, 0 <= beta_min"), onestep::domain_error);
    CHECK_THROWS_WITH_AS((linear_beta{.smallest_time = 1}.t_max()), "domain_error: linear_beta: smallest_time is 1, it must lie in [0, 1)",
                         onestep::domain_error);
    CHECK_THROWS_AS((linear_beta{.beta_max = std::nan("")}.t_max()), onestep::domain_error);
}

TEST_CASE("linear_beta: prints") { CHECK(to_string(linear_beta{}) == "linear_beta{beta_min = 0.1, beta_max = 20, smallest_time = 0.001}"); }

}  // namespace linear_beta_tests
