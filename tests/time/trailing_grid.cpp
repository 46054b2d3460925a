#include <onestep/process/discrete.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/trailing_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace trailing_grid_tests {

using namespace onestep;

// Lists by numpy 2.4 with the expression of diffusers' schedulers; times are index + 1.

TEST_CASE("trailing_grid: equal distances counted from the noise") {
    discrete const p;
    CHECK(times_of(trailing_grid{}, p, 4) == std::vector<double>{1000, 750, 500, 250, 0});
    CHECK(times_of(trailing_grid{}, p, 7) == std::vector<double>{1000, 857, 714, 571, 429, 286, 143, 0});
    CHECK(times_of(trailing_grid{.last_level = 1}, p, 3) == std::vector<double>{1000, 667, 333, 1});
    // Halves go where numpy's rounding sends them: 937.5, 812.5 and 687.5
    auto const halves = times_of(trailing_grid{}, p, 48);
    CHECK(halves[3] == 937);
    CHECK(halves[9] == 812);
    CHECK(halves[15] == 687);
}

TEST_CASE("trailing_grid: starts at the noise for any number of steps, and never has one too many") {
    discrete const p;
    CHECK(times_of(trailing_grid{}, p, 1) == std::vector<double>{1000, 0});
    for (int steps = 1; steps <= 1000; ++steps) {
        auto const times = times_of(trailing_grid{}, p, steps);
        REQUIRE(times.size() == static_cast<std::size_t>(steps) + 1);
        CHECK(times.front() == 1000);
        CHECK(times[static_cast<std::size_t>(steps) - 1] == doctest::Approx(1000.0 / steps).epsilon(0.5 / (1000.0 / steps) + 1e-9));
    }
    auto const all = times_of(trailing_grid{}, p, 1000);
    for (std::size_t i = 0; i <= 1000; ++i) CHECK(all[i] == 1000 - static_cast<double>(i));
}

TEST_CASE("trailing_grid: refuses steps that do not fit") {
    discrete const p;
    CHECK_THROWS_WITH_AS(times_of(trailing_grid{}, p, 1001), "domain_error: trailing_grid: steps is 1001, the process has 1000 levels",
                         domain_error);
    CHECK_THROWS_AS(times_of(trailing_grid{.last_level = 1}, p, 1000), domain_error);  // level 1 twice
    CHECK_THROWS_WITH_AS(times_of(trailing_grid{.last_level = 5}, p, 10), "domain_error: trailing_grid: last_level is 5, it must be 0 or 1",
                         domain_error);
}

TEST_CASE("trailing_grid: is a grid of discrete processes and a spec") {
    CHECK(grid<trailing_grid, discrete<>>);
    CHECK_FALSE(grid<trailing_grid, rectified_flow>);
    CHECK(to_string(trailing_grid{}) == "trailing_grid{last_level = 0}");
    CHECK_FALSE(trailing_grid{} == trailing_grid{1});
}

}  // namespace trailing_grid_tests
