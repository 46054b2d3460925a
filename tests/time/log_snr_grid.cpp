#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>
#include <onestep/time/log_snr_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace log_snr_grid_tests {

using namespace onestep;

TEST_CASE("log_snr_grid: equal steps between finite ends, both exact") {
    variance_preserving const p;
    for (int steps : {1, 2, 7, 100}) {
        auto const times = times_of(log_snr_grid{}, p, steps);
        CHECK(times.front() == 1);
        CHECK(times.back() == 1e-3);
        for (int i = 0; i <= steps; ++i)  // 2 lambda of the VP process at t = 1 and t = 1e-3
            CHECK(std::fabs(p.log_snr(times[static_cast<std::size_t>(i)]) -
                            2 * (-5.024978406659204 + (4.557714932729898 + 5.024978406659204) * i / steps)) < 1e-10);
    }
}

TEST_CASE("log_snr_grid: infinite ends are cut, then the process's end follows") {
    rectified_flow const p;
    auto const times = times_of(log_snr_grid{.first = -8, .last = 6}, p, 8);
    for (int i = 0; i < 8; ++i) CHECK(std::fabs(p.log_snr(times[static_cast<std::size_t>(i)]) - (-8 + 2 * i)) < 1e-10);
    CHECK(times[8] == 0);
    auto const levels = times_of(log_snr_grid{}, edm{}, 3);
    CHECK(levels[0] == 80);  // finite there: the process's own start
    CHECK(levels[2] == doctest::Approx(std::exp(-6.0)).epsilon(1e-14));
    CHECK(levels[3] == 0);
    discrete const zero{zero_terminal_snr{linear_schedule{}}};
    auto const table = times_of(log_snr_grid{}, zero, 5);
    CHECK(zero.log_snr(table[0]) == doctest::Approx(-10).epsilon(1e-10));
    CHECK(table.back() == 0);
}

TEST_CASE("log_snr_grid: one step, two steps, a thousand") {
    CHECK(times_of(log_snr_grid{}, edm{}, 1) == std::vector<double>{80, 0});
    auto const one = times_of(log_snr_grid{}, rectified_flow{}, 1);
    CHECK(one[0] == doctest::Approx(1 / (1 + std::exp(-5.0))).epsilon(1e-15));
    CHECK(one[1] == 0);
    CHECK(times_of(log_snr_grid{}, edm{}, 2)[1] == doctest::Approx(std::exp(-6.0)).epsilon(1e-14));
    CHECK(times_of(log_snr_grid{}, rectified_flow{}, 1000).size() == 1001);
}

TEST_CASE("log_snr_grid: refuses cuts that are infinite or do not rise") {
    CHECK_THROWS_WITH_AS(times_of(log_snr_grid{.first = 3, .last = 2}, rectified_flow{}, 4),
                         "domain_error: log_snr_grid: log-SNR runs from 3 to 2, it must be finite and rise", domain_error);
    CHECK_THROWS_AS(times_of(log_snr_grid{.first = -HUGE_VAL}, rectified_flow{}, 4), domain_error);
    CHECK_THROWS_AS(times_of(log_snr_grid{.first = -HUGE_VAL}, rectified_flow{}, 1), domain_error);
    CHECK_THROWS_AS(times_of(log_snr_grid{.last = HUGE_VAL}, rectified_flow{}, 4), domain_error);
    CHECK_THROWS_AS(times_of(log_snr_grid{.last = std::nan("")}, rectified_flow{}, 4), domain_error);
    CHECK_NOTHROW(times_of(log_snr_grid{.first = HUGE_VAL, .last = -HUGE_VAL}, variance_preserving{}, 4));  // not used there
}

TEST_CASE("log_snr_grid: is a grid and a spec") {
    CHECK(grid<log_snr_grid, edm>);
    CHECK(to_string(log_snr_grid{}) == "log_snr_grid{first = -10, last = 12}");
    CHECK_FALSE(log_snr_grid{} == log_snr_grid{.last = 10});
}

}  // namespace log_snr_grid_tests
