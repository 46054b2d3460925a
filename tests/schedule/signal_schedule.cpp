#include <onestep/schedule/signal_schedule.hpp>

#include <onestep/process/variance_preserving.hpp>

#include "signal_checks.hpp"

namespace signal_schedule_tests {

namespace {

/// A user's own schedule: alpha = exp(-t).
struct decay {
    static constexpr char const* name = "decay";
    double log_alpha(double t) const { return -t; }
    double log_alpha_derivative(double) const { return -1; }
    double time_of_log_alpha(double value) const { return -value; }
    double t_min() const { return 0.01; }
    double t_max() const { return 5; }
    void fields(auto&&) const {}
};
struct knows_alpha : decay {
    double alpha_derivative(double) const { return -7; }
};
struct without_inverse {
    static constexpr char const* name = "without_inverse";
    double log_alpha(double t) const { return -t; }
    double log_alpha_derivative(double) const { return -1; }
    double t_min() const { return 0; }
    double t_max() const { return 1; }
    void fields(auto&&) const {}
};

}  // namespace

static_assert(onestep::signal_schedule<decay>);
static_assert(!onestep::signal_schedule<without_inverse>);

TEST_CASE("signal_schedule: alpha' follows from log alpha unless the schedule knows better") {
    CHECK(onestep::alpha_derivative_of(decay{}, 0.5) == doctest::Approx(-std::exp(-0.5)).epsilon(1e-15));
    CHECK(onestep::alpha_derivative_of(knows_alpha{}, 0.5) == -7);
    onestep::test::check_signal(decay{}, 0.01, 5);
}

TEST_CASE("signal_schedule: a user's own makes a process") {
    onestep::variance_preserving const p{decay{}};
    CHECK(p.alpha(0.5) == doctest::Approx(std::exp(-0.5)).epsilon(1e-15));
    CHECK(p.sigma(0.5) == doctest::Approx(std::sqrt(1 - std::exp(-1.0))).epsilon(1e-15));
    CHECK(p.t_min() == 0.01);
    CHECK(to_string(p) == "variance_preserving{schedule = decay{}}");
}

}  // namespace signal_schedule_tests
