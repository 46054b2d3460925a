#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/angle_grid.hpp>
#include <onestep/time/uniform_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

namespace angle_grid_tests {

using namespace onestep;

TEST_CASE("angle_grid: equal steps of time on trigonometric flow") {
    trigonometric_flow const p{.sigma_data = 0.5};
    for (int steps : {1, 2, 5}) {
        auto const times = times_of(angle_grid{.sigma_data = 0.5, .most = HUGE_VAL}, p, steps), equal = times_of(uniform_grid{}, p, steps);
        for (std::size_t i = 0; i < times.size(); ++i) CHECK(std::fabs(times[i] - equal[i]) < 1e-14);
    }
}

TEST_CASE("angle_grid: the same noise levels on every process") {
    angle_grid const grid{.sigma_data = 0.7, .most = 40};
    auto const check = [&](auto const& p) {
        double const first = std::atan(40 / 0.7), last = std::atan(noise_to_signal(p, p.t_min()) / 0.7);
        auto const times = times_of(grid, p, 4);
        for (int i = 0; i < 4; ++i)
            CHECK(noise_to_signal(p, times[static_cast<std::size_t>(i)]) ==
                  doctest::Approx(0.7 * std::tan(first + (last - first) * i / 4)).epsilon(1e-9));
        CHECK(times[4] == p.t_min());
    };
    check(rectified_flow{});
    check(edm{});
    check(variance_preserving{});
    check(trigonometric_flow{.sigma_data = 2});
}

TEST_CASE("angle_grid: ends are exact, whatever rounding makes of the levels between") {
    for (double top : {20.0, 80.0, 33.3}) CHECK(times_of(angle_grid{.sigma_data = 0.61}, edm{.sigma_max = top}, 3)[0] == top);
    CHECK(times_of(angle_grid{.most = HUGE_VAL}, rectified_flow{}, 2)[0] == 1);
    CHECK(times_of(angle_grid{.most = HUGE_VAL}, rectified_flow{}, 2)[1] == doctest::Approx(0.5).epsilon(1e-14));
    CHECK(times_of(angle_grid{.most = 5}, edm{}, 1)[0] == doctest::Approx(5).epsilon(1e-14));
    CHECK(times_of(angle_grid{}, edm{}, 1000).size() == 1001);
}

TEST_CASE("angle_grid: refuses what makes no grid") {
    CHECK_THROWS_WITH_AS(times_of(angle_grid{.sigma_data = 0}, edm{}, 2), "domain_error: angle_grid: sigma_data is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS(times_of(angle_grid{.sigma_data = std::nan("")}, edm{}, 2), domain_error);
    CHECK_THROWS_WITH_AS(times_of(angle_grid{.most = 0}, edm{}, 2), "domain_error: angle_grid: most is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS(times_of(angle_grid{.most = std::nan("")}, edm{}, 2), domain_error);
}

TEST_CASE("angle_grid: is a grid and a spec") {
    CHECK(grid<angle_grid, rectified_flow>);
    CHECK(to_string(angle_grid{}) == "angle_grid{sigma_data = 1, most = 80}");
}

}  // namespace angle_grid_tests
