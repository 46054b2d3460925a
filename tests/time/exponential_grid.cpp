#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/exponential_grid.hpp>
#include <onestep/time/karras_grid.hpp>
#include <onestep/time/log_snr_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace exponential_grid_tests {

using namespace onestep;

TEST_CASE("exponential_grid: levels fall by equal factors, then the end") {
    auto const times = times_of(exponential_grid{.sigma_min = 0.01, .sigma_max = 10}, edm{}, 4);
    CHECK(times[0] == 10);
    CHECK(times[1] == doctest::Approx(1).epsilon(1e-14));
    CHECK(times[2] == doctest::Approx(0.1).epsilon(1e-14));
    CHECK(times[3] == 0.01);
    CHECK(times[4] == 0);
    CHECK(times_of(exponential_grid{}, edm{}, 1) == std::vector<double>{80, 0});
    CHECK(times_of(exponential_grid{}, edm{}, 2) == std::vector<double>{80, 0.002, 0});
}

TEST_CASE("exponential_grid: is log_snr_grid and the limit of karras_grid") {
    auto const by_level = times_of(exponential_grid{}, variance_preserving{}, 6),
               by_ratio = times_of(log_snr_grid{}, variance_preserving{}, 6);
    for (std::size_t i = 0; i <= 6; ++i) CHECK(by_level[i] == doctest::Approx(by_ratio[i]).epsilon(1e-12));
    auto const levels = times_of(exponential_grid{}, edm{}, 6), limit = times_of(karras_grid{.rho = 1e6}, edm{}, 6);
    for (std::size_t i = 0; i <= 6; ++i) CHECK(levels[i] == doctest::Approx(limit[i]).epsilon(1e-4));
}

TEST_CASE("exponential_grid: refuses as karras_grid does, under its own name") {
    CHECK_THROWS_WITH_AS(times_of(exponential_grid{}, rectified_flow{}, 4),
                         "domain_error: exponential_grid: the process starts at an infinite noise level, give sigma_max, 80 for example",
                         domain_error);
    CHECK_THROWS_AS(times_of(exponential_grid{.sigma_max = 100}, edm{}, 4), domain_error);
    CHECK(grid<exponential_grid, edm>);
    CHECK(to_string(exponential_grid{.sigma_max = 80}) == "exponential_grid{sigma_min = 0, sigma_max = 80}");
    CHECK(exponential_grid{} == exponential_grid{});
}

}  // namespace exponential_grid_tests
