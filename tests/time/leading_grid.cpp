#include <onestep/process/discrete.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/leading_grid.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace leading_grid_tests {

using namespace onestep;

// Lists by numpy 2.4 with the expressions of diffusers' DDIM (one-step) and DPM-Solver (multistep) schedulers; times are index + 1.

TEST_CASE("leading_grid: whole multiples counted from the data") {
    discrete const p;
    CHECK(times_of(leading_grid{}, p, 7) == std::vector<double>{853, 711, 569, 427, 285, 143, 1, 0});
    CHECK(times_of(leading_grid{.multistep = true}, p, 7) == std::vector<double>{876, 751, 626, 501, 376, 251, 126, 0});
    CHECK(times_of(leading_grid{.offset = 1}, p, 4) == std::vector<double>{752, 502, 252, 2, 0});
    CHECK(times_of(leading_grid{.offset = 1, .last_level = 1}, p, 4) == std::vector<double>{752, 502, 252, 2, 1});
    CHECK(times_of(leading_grid{}, discrete{linear_schedule{.steps = 37}}, 3) == std::vector<double>{25, 13, 1, 0});
}

TEST_CASE("leading_grid: one step and as many as there are levels") {
    discrete const p;
    CHECK(times_of(leading_grid{}, p, 1) == std::vector<double>{1, 0});
    CHECK(times_of(leading_grid{.multistep = true}, p, 1) == std::vector<double>{501, 0});
    auto const all = times_of(leading_grid{}, p, 1000);
    for (std::size_t i = 0; i <= 1000; ++i) CHECK(all[i] == 1000 - static_cast<double>(i));
    CHECK(times_of(leading_grid{.multistep = true}, p, 999).front() == 1000);
}

TEST_CASE("leading_grid: refuses steps and offsets that do not fit") {
    discrete const p;
    CHECK_THROWS_WITH_AS(times_of(leading_grid{}, p, 1001), "domain_error: leading_grid: steps is 1001, the process has 1000 levels",
                         domain_error);
    CHECK_THROWS_WITH_AS(times_of(leading_grid{.offset = 1}, p, 1000),
                         "domain_error: leading_grid: index 1000 would be visited, indices are 0 to 999", domain_error);
    CHECK_THROWS_AS(times_of(leading_grid{.multistep = true}, p, 1000), domain_error);  // a stride of 0
    CHECK_THROWS_AS(times_of(leading_grid{.offset = -1}, p, 4), domain_error);
    CHECK_THROWS_AS(times_of(leading_grid{.last_level = 1}, p, 4), domain_error);  // level 1 twice
    CHECK_THROWS_AS(times_of(leading_grid{.last_level = 2}, p, 4), domain_error);
    CHECK_THROWS_AS(times_of(leading_grid{}, p, 0), domain_error);
}

TEST_CASE("leading_grid: is a grid of discrete processes and a spec") {
    CHECK(grid<leading_grid, discrete<>>);
    CHECK_FALSE(grid<leading_grid, rectified_flow>);
    CHECK(to_string(leading_grid{}) == "leading_grid{offset = 0, multistep = false, last_level = 0}");
    CHECK_FALSE(leading_grid{} == leading_grid{.offset = 1});
}

}  // namespace leading_grid_tests
