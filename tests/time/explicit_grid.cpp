#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/explicit_grid.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace explicit_grid_tests {

using namespace onestep;

TEST_CASE("explicit_grid: the times that were given") {
    explicit_grid const g{{1, 0.6, 0.1, 0}};
    CHECK(times_of(g, rectified_flow{}, 3) == std::vector<double>{1, 0.6, 0.1, 0});
    CHECK(times_of(explicit_grid{{50, 2}}, edm{}, 1) == std::vector<double>{50, 2});
}

TEST_CASE("explicit_grid: what lies beyond an end by rounding is the end") {
    CHECK(times_of(explicit_grid{{80.00000000000003, 1, -1e-15}}, edm{}, 2) == std::vector<double>{80, 1, 0});
    CHECK_THROWS_AS(times_of(explicit_grid{{80.00001, 0}}, edm{}, 1), domain_error);
}

TEST_CASE("explicit_grid: refuses another number of steps, times outside, and times that turn back") {
    CHECK_THROWS_WITH_AS(times_of(explicit_grid{{1, 0.5, 0}}, rectified_flow{}, 4),
                         "domain_error: explicit_grid: steps is 4 and 3 times were given, that many steps have 5 times", domain_error);
    CHECK_THROWS_AS(times_of(explicit_grid{}, rectified_flow{}, 1), domain_error);
    CHECK_THROWS_WITH_AS(times_of(explicit_grid{{1.5, 0}}, rectified_flow{}, 1),
                         "domain_error: explicit_grid: time 0 is 1.5, the process runs from 1 to 0", domain_error);
    CHECK_THROWS_AS(times_of(explicit_grid{{1, -0.5}}, rectified_flow{}, 1), domain_error);
    CHECK_THROWS_AS(times_of(explicit_grid{{1, std::nan("")}}, rectified_flow{}, 1), domain_error);
    CHECK_THROWS_WITH_AS(times_of(explicit_grid{{1, 0.2, 0.4}}, rectified_flow{}, 2),
                         doctest::Contains("must move strictly in one direction"), domain_error);
}

TEST_CASE("explicit_grid: is a grid, and prints its times") {
    CHECK(grid<explicit_grid, rectified_flow>);
    CHECK(to_string(explicit_grid{{1, 0.25, 0}}) == "explicit_grid{times = [1, 0.25, 0]}");
    CHECK(explicit_grid{{1, 0}} == explicit_grid{{1, 0}});
    CHECK_FALSE(explicit_grid{{1, 0}} == explicit_grid{{1, 0.5, 0}});
}

}  // namespace explicit_grid_tests
