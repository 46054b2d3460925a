#include <onestep/process/discrete.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/linspace_grid.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace linspace_grid_tests {

using namespace onestep;

// Lists by numpy 2.4 with the expressions of diffusers' DDIM (one-step) and DPM-Solver (multistep) schedulers; times are index + 1.

TEST_CASE("linspace_grid: equal distances with both ends, or without the data end") {
    discrete const p;
    CHECK(times_of(linspace_grid{}, p, 7) == std::vector<double>{1000, 833, 667, 501, 334, 167, 1, 0});
    CHECK(times_of(linspace_grid{.multistep = true}, p, 7) == std::vector<double>{1000, 857, 715, 572, 429, 286, 144, 0});
    // halves: numpy's rounded product decides them
    auto const even = times_of(linspace_grid{}, p, 27);
    CHECK(even[13] == 500);  // index 499.5 in exact arithmetic
    CHECK(times_of(linspace_grid{.multistep = true, .last_level = 1}, p, 2) == std::vector<double>{1000, 501, 1});
}

TEST_CASE("linspace_grid: one step starts at the noise end, and as many as there are levels visit all") {
    discrete const p;
    CHECK(times_of(linspace_grid{}, p, 1) == std::vector<double>{1000, 0});
    CHECK(times_of(linspace_grid{.multistep = true}, p, 1) == std::vector<double>{1000, 0});
    CHECK(times_of(linspace_grid{}, p, 2) == std::vector<double>{1000, 1, 0});
    auto const all = times_of(linspace_grid{}, p, 1000);
    for (std::size_t i = 0; i <= 1000; ++i) CHECK(all[i] == 1000 - static_cast<double>(i));
}

TEST_CASE("linspace_grid: refuses steps that do not fit") {
    discrete const p;
    CHECK_THROWS_WITH_AS(times_of(linspace_grid{}, p, 1001), "domain_error: linspace_grid: steps is 1001, the process has 1000 levels",
                         domain_error);
    CHECK_THROWS_WITH_AS(times_of(linspace_grid{.multistep = true}, p, 1000), doctest::Contains("must move strictly in one direction"),
                         domain_error);
    CHECK_THROWS_AS(times_of(linspace_grid{.last_level = 1}, p, 5), domain_error);  // level 1 twice
    CHECK_THROWS_AS(times_of(linspace_grid{.last_level = -1}, p, 5), domain_error);
}

TEST_CASE("linspace_grid: is a grid of discrete processes and a spec") {
    CHECK(grid<linspace_grid, discrete<>>);
    CHECK_FALSE(grid<linspace_grid, rectified_flow>);
    CHECK(to_string(linspace_grid{.multistep = true}) == "linspace_grid{multistep = true, last_level = 0}");
    CHECK_FALSE(linspace_grid{} == linspace_grid{.multistep = true});
}

}  // namespace linspace_grid_tests
