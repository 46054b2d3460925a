#include <onestep/schedule/noise_table.hpp>

#include <doctest/doctest.h>

#include <string>

namespace noise_table_tests {

using onestep::noise_table;

namespace {

/// A user's own schedule.
struct halves {
    static constexpr char const* name = "halves";
    int steps = 3;
    noise_table table() const { return noise_table::of_betas(name, std::vector<double>(static_cast<std::size_t>(steps), 0.5)); }
    void fields(auto&& visit) const { visit("steps", steps); }
};
struct without_fields {
    static constexpr char const* name = "without_fields";
    noise_table table() const { return {}; }
};

}  // namespace

static_assert(onestep::noise_schedule<halves>);
static_assert(!onestep::noise_schedule<without_fields>);
static_assert(!onestep::noise_schedule<noise_table>);

TEST_CASE("noise_table: alpha_bar is the running product and variance what is missing to 1") {
    auto const t = halves{}.table();
    CHECK(t.name == "halves");
    CHECK(t.steps() == 3);
    CHECK(t.alpha_bar == std::vector<double>{0.5, 0.25, 0.125});
    CHECK(t.variance == std::vector<double>{0.5, 0.75, 0.875});
}

TEST_CASE("noise_table: variance keeps the digits of tiny betas") {
    auto const t = noise_table::of_betas("tiny", std::vector<double>(4, 1e-20));
    CHECK(t.alpha_bar[3] == 1);
    CHECK(t.variance[0] == 1e-20);
    CHECK(t.variance[3] == doctest::Approx(4e-20).epsilon(1e-15));
}

TEST_CASE("noise_table: the last beta may be 1 and alpha_bar then ends at exactly 0") {
    auto const t = noise_table::of_betas("end", {0.25, 1});
    CHECK(t.alpha_bar[1] == 0);
    CHECK(t.variance[1] == 1);
    CHECK(noise_table::of_betas("one", {1}).alpha_bar[0] == 0);
}

TEST_CASE("noise_table: refuses betas that make no process") {
    auto const make = [](std::vector<double> betas) { return noise_table::of_betas("mine", std::move(betas)); };
    CHECK_THROWS_WITH_AS(make({}), "domain_error: mine: there are 0 betas, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS(make({0.1, 0}), "domain_error: mine: beta[1] is 0, every beta must lie in (0, 1); the last may be 1",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(make({1, 0.1}), doctest::Contains("mine: beta[0] is 1, every"), onestep::domain_error);
    CHECK_THROWS_WITH_AS(make({0.1, 1.5}), doctest::Contains("mine: beta[1] is 1.5, every"), onestep::domain_error);
    CHECK_THROWS_WITH_AS(make({0.1, -0.2, 0.1}), doctest::Contains("mine: beta[1] is -0.2, every"), onestep::domain_error);
    CHECK_THROWS_WITH_AS(make({std::nan("")}), doctest::Contains("mine: beta[0] is nan, every"), onestep::domain_error);
    CHECK_THROWS_WITH_AS(
        make(std::vector<double>(200, 0.999)),
        "domain_error: mine: alpha_bar[107] of 200 underflows to 0, only the last may be 0: take smaller betas or fewer steps",
        onestep::domain_error);
}

TEST_CASE("noise_table: evenly_spaced ends exactly") {
    CHECK(onestep::evenly_spaced(0.1, 0.7, 0, 4) == 0.1);
    CHECK(onestep::evenly_spaced(0.1, 0.7, 3, 4) == 0.7);
    CHECK(onestep::evenly_spaced(0.1, 0.7, 1, 4) == doctest::Approx(0.3).epsilon(1e-15));
    CHECK(onestep::evenly_spaced(0.1, 0.7, 0, 1) == 0.1);
}

}  // namespace noise_table_tests
