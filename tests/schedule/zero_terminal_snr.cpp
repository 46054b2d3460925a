#include <onestep/schedule/zero_terminal_snr.hpp>

#include <onestep/schedule/beta_table.hpp>
#include <onestep/schedule/cosine_schedule.hpp>
#include <onestep/schedule/scaled_linear_schedule.hpp>

#include "table_checks.hpp"

namespace zero_terminal_snr_tests {

using onestep::zero_terminal_snr;

namespace {

/// The algorithm as published, in long double.
template <class Schedule> void check_against_algorithm(Schedule const& schedule) {
    auto const old = schedule.table(), changed = zero_terminal_snr{schedule}.table();
    std::size_t const n = old.beta.size();
    std::vector<long double> a(n);
    long double product = 1;
    for (std::size_t i = 0; i < n; ++i) a[i] = std::sqrt(product *= 1 - static_cast<long double>(old.beta[i]));
    long double const first = a.front(), last = a.back();
    double worst_signal = 0, worst_beta = 0;
    for (auto& value : a) value = (value - last) * (first / (first - last));
    for (std::size_t i = 0; i + 1 < n; ++i) {
        long double const beta = i == 0 ? 1 - a[0] * a[0] : 1 - (a[i] * a[i]) / (a[i - 1] * a[i - 1]);
        worst_signal = std::fmax(worst_signal, static_cast<double>(std::fabs(changed.alpha_bar[i] / (a[i] * a[i]) - 1)));
        worst_beta = std::fmax(worst_beta, static_cast<double>(std::fabs(changed.beta[i] / beta - 1)));
    }
    CHECK(worst_signal < 1e-12);
    CHECK(worst_beta < 1e-12);
    CHECK(changed.beta.front() == old.beta.front());
    CHECK(changed.beta.back() == 1);
    CHECK(changed.alpha_bar.back() == 0);
    CHECK(changed.variance.back() == 1);
    onestep::test::check_products(changed);
}

}  // namespace

TEST_CASE("zero_terminal_snr: golden numbers of the linear schedule") {
    auto const t = zero_terminal_snr{onestep::linear_schedule{}}.table();
    CHECK(t.name == "zero_terminal_snr");
    CHECK(t.alpha_bar[0] == doctest::Approx(0.9999).epsilon(1e-15));
    CHECK(t.alpha_bar[500] == doctest::Approx(0.07524621570432667).epsilon(1e-13));
    CHECK(t.alpha_bar[999] == 0);
}

TEST_CASE("zero_terminal_snr: the published algorithm, on three schedules") {
    check_against_algorithm(onestep::linear_schedule{});
    check_against_algorithm(onestep::scaled_linear_schedule{});
    check_against_algorithm(onestep::cosine_schedule{.steps = 50});
    check_against_algorithm(onestep::beta_table{{0.5, 0.5}});
}

TEST_CASE("zero_terminal_snr: a schedule that ends at 0 already stays") {
    onestep::beta_table const done{{0.1, 0.2, 0.3, 1}};
    auto const t = zero_terminal_snr{done}.table();
    for (std::size_t i = 0; i < 4; ++i) CHECK(t.beta[i] == doctest::Approx(done.beta[i]).epsilon(1e-14));
}

TEST_CASE("zero_terminal_snr: refuses a single step and what its schedule refuses") {
    CHECK_THROWS_WITH_AS(zero_terminal_snr{onestep::beta_table{{0.5}}}.table(),
                         "domain_error: zero_terminal_snr: steps is 1, at least 2 are needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS(zero_terminal_snr{onestep::linear_schedule{.steps = 0}}.table(), doctest::Contains("linear_schedule: steps is 0"),
                         onestep::domain_error);
}

TEST_CASE("zero_terminal_snr: prints with its schedule") {
    CHECK(to_string(zero_terminal_snr{onestep::linear_schedule{}}) ==
          "zero_terminal_snr{schedule = linear_schedule{first = 0.0001, last = 0.02, steps = 1000}}");
    CHECK(zero_terminal_snr{} == zero_terminal_snr{onestep::linear_schedule{}});
}

}  // namespace zero_terminal_snr_tests
