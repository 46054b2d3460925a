#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/karras_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace karras_grid_tests {

using namespace onestep;

TEST_CASE("karras_grid: EDM's eighteen levels and a last 0") {
    constexpr double golden[] = {80,     57.5860, 40.7856, 28.3746, 19.3525, 12.9101, 8.4009, 5.3152, 3.2568,
                                 1.9233, 1.0882,  0.5853,  0.2964,  0.1395,  0.0599,  0.0229, 0.0075, 0.002};
    auto const times = times_of(karras_grid{}, edm{}, 18);
    REQUIRE(times.size() == 19);
    for (std::size_t i = 0; i < 18; ++i) CHECK(std::fabs(times[i] - golden[i]) < 0.51e-4);
    CHECK(times[0] == 80);
    CHECK(times[17] == 0.002);
    CHECK(times[18] == 0);
}

TEST_CASE("karras_grid: steps in level^(1 / rho) are equal, on any process") {
    auto const check = [](auto const& p, karras_grid const& grid, int steps, int intervals) {
        auto const times = times_of(grid, p, steps);
        double const first = std::pow(noise_to_signal(p, times.front()), 1 / grid.rho);
        double const last = std::pow(noise_to_signal(p, times[static_cast<std::size_t>(intervals)]), 1 / grid.rho);
        for (int i = 0; i <= intervals; ++i)
            CHECK(std::pow(noise_to_signal(p, times[static_cast<std::size_t>(i)]), 1 / grid.rho) ==
                  doctest::Approx(first + (last - first) * i / intervals).epsilon(1e-10));
        CHECK(times.back() == p.t_min());
        return times;
    };
    check(edm{}, {.rho = 3}, 12, 11);
    auto const straight = check(rectified_flow{}, {.sigma_min = 0.01, .sigma_max = 80}, 9, 8);
    CHECK(straight.front() == doctest::Approx(80.0 / 81).epsilon(1e-14));
    CHECK(straight[8] == doctest::Approx(0.01 / 1.01).epsilon(1e-12));
    auto const table = check(discrete{}, {}, 7, 6);
    CHECK(table.front() == 1000);
}

TEST_CASE("karras_grid: the process's own last level and range are the defaults") {
    CHECK(times_of(karras_grid{}, edm{.sigma_min = 0.01, .sigma_max = 50}, 3) ==
          times_of(karras_grid{.sigma_min = 0.01, .sigma_max = 50}, edm{}, 3));
    CHECK(times_of(karras_grid{}, edm{.sigma_min = 0.01}, 3)[2] == 0.01);
    CHECK(times_of(karras_grid{.sigma_min = 0.03}, edm{}, 5)[4] == 0.03);
}

TEST_CASE("karras_grid: where a process ends with noise the levels end there") {
    variance_preserving const p;
    auto const times = times_of(karras_grid{}, p, 4);
    double const first = std::pow(noise_to_signal(p, 1), 1.0 / 7), last = std::pow(noise_to_signal(p, 1e-3), 1.0 / 7);
    for (int i = 0; i <= 4; ++i)
        CHECK(noise_to_signal(p, times[static_cast<std::size_t>(i)]) ==
              doctest::Approx(std::pow(first + (last - first) * i / 4, 7)).epsilon(1e-9));
    CHECK(times.back() == 1e-3);
    CHECK(times_of(karras_grid{.sigma_min = 0.1}, p, 4)[3] == doctest::Approx(time_of_noise_to_signal(p, 0.1)).epsilon(1e-14));
    CHECK(times_of(karras_grid{}, variance_exploding{}, 5).size() == 6);
}

TEST_CASE("karras_grid: one step leads from the first level to the end, two pass by the last level") {
    CHECK(times_of(karras_grid{}, edm{}, 1) == std::vector<double>{80, 0});
    CHECK(times_of(karras_grid{.sigma_max = 10}, edm{}, 1) == std::vector<double>{10, 0});
    CHECK(times_of(karras_grid{}, rectified_flow{}, 1) == std::vector<double>{1, 0});
    CHECK(times_of(karras_grid{}, variance_preserving{}, 1) == std::vector<double>{1, 1e-3});
    CHECK(times_of(karras_grid{}, edm{}, 2) == std::vector<double>{80, 0.002, 0});
    CHECK(times_of(karras_grid{}, edm{}, 5000).size() == 5001);
}

TEST_CASE("karras_grid: refuses what has no levels") {
    CHECK_THROWS_WITH_AS(times_of(karras_grid{.rho = 0}, edm{}, 4), "domain_error: karras_grid: rho is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(times_of(karras_grid{.rho = std::nan("")}, edm{}, 4), domain_error);
    CHECK_THROWS_WITH_AS(times_of(karras_grid{.sigma_min = -1}, edm{}, 4),
                         "domain_error: karras_grid: sigma_min is -1, it must be >= 0; 0 means the process's", domain_error);
    CHECK_THROWS_WITH_AS(times_of(karras_grid{.sigma_max = 100}, edm{}, 4),
                         "domain_error: karras_grid: sigma_max is 100, the process starts at noise level 80", domain_error);
    CHECK_THROWS_AS(times_of(karras_grid{.sigma_max = -1}, edm{}, 4), domain_error);
    CHECK_THROWS_WITH_AS(times_of(karras_grid{}, rectified_flow{}, 4),
                         "domain_error: karras_grid: the process starts at an infinite noise level, give sigma_max, 80 for example",
                         domain_error);
    CHECK_THROWS_WITH_AS(times_of(karras_grid{.sigma_min = 5, .sigma_max = 2}, edm{}, 4),
                         "domain_error: karras_grid: the levels run from 2 to 5, they must fall", domain_error);
    CHECK_THROWS_AS(times_of(karras_grid{}, edm{}, 0), domain_error);
}

TEST_CASE("karras_grid: is a grid and a spec") {
    CHECK(grid<karras_grid, rectified_flow>);
    CHECK(to_string(karras_grid{}) == "karras_grid{rho = 7, sigma_min = 0, sigma_max = 0}");
    CHECK(karras_grid{} == karras_grid{.rho = 7});
    CHECK_FALSE(karras_grid{} == karras_grid{.rho = 3});
}

}  // namespace karras_grid_tests
