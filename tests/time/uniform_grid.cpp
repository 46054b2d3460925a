#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/uniform_grid.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace uniform_grid_tests {

using namespace onestep;

TEST_CASE("uniform_grid: equal steps fall from noise to data and end there exactly") {
    CHECK(times_of(uniform_grid{}, rectified_flow{}, 1) == std::vector<double>{1, 0});
    CHECK(times_of(uniform_grid{}, rectified_flow{}, 4) == std::vector<double>{1, 0.75, 0.5, 0.25, 0});
    for (int steps : {2, 3, 7, 10, 49, 1000}) {
        auto const times = times_of(uniform_grid{}, rectified_flow{}, steps);
        REQUIRE(times.size() == static_cast<std::size_t>(steps) + 1);
        CHECK(times.front() == 1);
        CHECK(times.back() == 0);
        for (int i = 0; i <= steps; ++i)
            CHECK(times[static_cast<std::size_t>(i)] == doctest::Approx(1 - static_cast<double>(i) / steps).epsilon(1e-14));
    }
    CHECK(times_of(uniform_grid{}, variance_preserving{}, 7).back() == 1e-3);
    CHECK(uniform_grid{}.time(edm{}, 80, 0.002, 7, 7) == 0.002);
    CHECK(uniform_grid{}.time(edm{}, 80, 0.002, 7, 0) == 80);
}

TEST_CASE("uniform_grid: is a grid and a spec") {
    CHECK(grid<uniform_grid, rectified_flow>);
    CHECK(to_string(uniform_grid{}) == "uniform_grid{}");
    CHECK(uniform_grid{} == uniform_grid{});
    CHECK_THROWS_WITH_AS(times_of(uniform_grid{}, rectified_flow{}, 0), "domain_error: uniform_grid: steps is 0, at least 1 is needed",
                         domain_error);
}

}  // namespace uniform_grid_tests
