#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/shifted_grid.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace shifted_grid_tests {

using namespace onestep;

TEST_CASE("shifted_grid: equal steps moved towards the noise") {
    CHECK(times_of(shifted_grid{3}, rectified_flow{}, 1) == std::vector<double>{1, 0});
    auto const times = times_of(shifted_grid{3}, rectified_flow{}, 4);
    constexpr double expected[] = {1, 0.9, 0.75, 0.5, 0};
    for (std::size_t i = 0; i <= 4; ++i) CHECK(times[i] == doctest::Approx(expected[i]).epsilon(1e-15));
    CHECK(times.front() == 1);
    CHECK(times.back() == 0);
    auto const plain = times_of(shifted_grid{1}, rectified_flow{}, 10);
    for (std::size_t i = 0; i <= 10; ++i) CHECK(plain[i] == doctest::Approx(1 - static_cast<double>(i) / 10).epsilon(1e-15));
    auto const vp = times_of(shifted_grid{3}, variance_preserving{}, 1000);
    CHECK(vp.front() == 1);
    CHECK(vp.back() == 1e-3);
}

TEST_CASE("shifted_grid: refuses other ranges and shifts") {
    CHECK_THROWS_WITH_AS(times_of(shifted_grid{}, edm{}, 4),
                         "domain_error: shifted_grid: the process runs on [0, 80], a shift is defined on times in [0, 1]", domain_error);
    CHECK_THROWS_WITH_AS(times_of(shifted_grid{-1}, rectified_flow{}, 4), "domain_error: shifted_grid: shift is -1, it must be > 0",
                         domain_error);
    CHECK(grid<shifted_grid, rectified_flow>);
    CHECK(to_string(shifted_grid{}) == "shifted_grid{shift = 3}");
    CHECK_FALSE(shifted_grid{} == shifted_grid{1});
}

}  // namespace shifted_grid_tests
