#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/power_grid.hpp>
#include <onestep/time/uniform_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace power_grid_tests {

using namespace onestep;

TEST_CASE("power_grid: squares of equal steps") {
    CHECK(times_of(power_grid{}, rectified_flow{}, 1) == std::vector<double>{1, 0});
    CHECK(times_of(power_grid{}, rectified_flow{}, 4) == std::vector<double>{1, 0.5625, 0.25, 0.0625, 0});
    auto const cubes = times_of(power_grid{3}, edm{.sigma_max = 27}, 3);
    CHECK(cubes[0] == 27);
    CHECK(cubes[1] == doctest::Approx(8).epsilon(1e-14));
    CHECK(cubes[2] == doctest::Approx(1).epsilon(1e-14));
    CHECK(cubes[3] == 0);
    auto const vp = times_of(power_grid{}, variance_preserving{}, 10);
    CHECK(vp.back() == 1e-3);
    for (std::size_t i = 0; i <= 10; ++i)
        CHECK(std::sqrt(vp[i]) == doctest::Approx(1 + (std::sqrt(1e-3) - 1) * static_cast<double>(i) / 10).epsilon(1e-13));
    auto const straight = times_of(power_grid{1}, rectified_flow{}, 7), uniform = times_of(uniform_grid{}, rectified_flow{}, 7);
    for (std::size_t i = 0; i <= 7; ++i) CHECK(straight[i] == doctest::Approx(uniform[i]).epsilon(1e-15));
}

TEST_CASE("power_grid: refuses exponents and times without a root") {
    CHECK_THROWS_WITH_AS(times_of(power_grid{0}, rectified_flow{}, 2), "domain_error: power_grid: exponent is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS(times_of(power_grid{-1}, rectified_flow{}, 2), domain_error);
    CHECK_THROWS_AS(times_of(power_grid{std::nan("")}, rectified_flow{}, 2), domain_error);
    CHECK_THROWS_WITH_AS(power_grid{}.time(edm{}, 1, -1, 2, 1),
                         "domain_error: power_grid: the process runs from 1 to -1, a root of negative times does not exist", domain_error);
    CHECK_THROWS_AS(times_of(power_grid{400}, rectified_flow{}, 1000), domain_error);  // its last times underflow to 0
    CHECK(grid<power_grid, edm>);
    CHECK(to_string(power_grid{}) == "power_grid{exponent = 2}");
    CHECK_FALSE(power_grid{} == power_grid{3});
}

}  // namespace power_grid_tests
