#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/schedule/scaled_linear_schedule.hpp>
#include <onestep/time/sigma_grid.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace sigma_grid_tests {

using namespace onestep;

TEST_CASE("sigma_grid: the list itself, its last entry replaced by the data end") {
    sigma_grid const g{{80, 8, 1, 0.1, 0.002}};
    CHECK(times_of(g, edm{}, 4) == std::vector<double>{80, 8, 1, 0.1, 0});
    auto const straight = times_of(g, rectified_flow{}, 4);
    CHECK(straight[0] == doctest::Approx(80.0 / 81).epsilon(1e-14));
    CHECK(straight[2] == doctest::Approx(0.5).epsilon(1e-14));
    CHECK(straight[4] == 0);
}

TEST_CASE("sigma_grid: log-linear between entries, for more steps and for fewer") {
    sigma_grid const g{{16, 4, 1, 0.01}};
    auto const six = times_of(g, edm{}, 6);
    CHECK(six[1] == doctest::Approx(8).epsilon(1e-14));
    CHECK(six[2] == 4);
    CHECK(six[3] == doctest::Approx(2).epsilon(1e-14));
    CHECK(six[5] == doctest::Approx(0.1).epsilon(1e-14));
    CHECK(six[6] == 0);
    CHECK(times_of(g, edm{}, 1) == std::vector<double>{16, 0});
    auto const two = times_of(g, edm{}, 2);
    CHECK(two[1] == doctest::Approx(2).epsilon(1e-14));  // halfway between 4 and 1
    CHECK(times_of(g, edm{}, 1000).size() == 1001);
}

TEST_CASE("sigma_grid: published lists fall and fit their models") {
    using namespace align_your_steps;
    for (auto const& g : {stable_diffusion_1_5(), stable_diffusion_xl(), stable_video_diffusion(), deepfloyd_stage_1()}) {
        CHECK(g.sigmas.size() == 11);
        CHECK_NOTHROW(times_of(g, edm{.sigma_max = 700}, 10));
    }
    // The published time steps of Stable Diffusion 1.5 name the same levels, to their rounding.
    discrete const p{scaled_linear_schedule{}};
    auto const times = times_of(stable_diffusion_1_5(), p, 10);
    constexpr double index[] = {999, 850, 736, 645, 545, 455, 343, 233, 124, 24};
    CHECK(times[0] == 1000);  // 14.615 is 14.6146 rounded
    for (std::size_t i = 1; i < 10; ++i) CHECK(std::fabs(times[i] - 1 - index[i]) < 0.6);
}

TEST_CASE("sigma_grid: refuses lists that are no levels or start too high") {
    CHECK_THROWS_WITH_AS(times_of(sigma_grid{{1}}, edm{}, 2), "domain_error: sigma_grid: 1 levels were given, at least two are needed",
                         domain_error);
    CHECK_THROWS_WITH_AS(times_of(sigma_grid{{2, 1, 0}}, edm{}, 2),
                         "domain_error: sigma_grid: level 2 is 0, levels must be positive and fall", domain_error);
    CHECK_THROWS_AS(times_of(sigma_grid{{2, 3}}, edm{}, 2), domain_error);
    CHECK_THROWS_AS(times_of(sigma_grid{{2, std::nan("")}}, edm{}, 2), domain_error);
    CHECK_THROWS_WITH_AS(times_of(sigma_grid{{81, 1}}, edm{}, 2),
                         "domain_error: sigma_grid: the first level is 81, the process starts at noise level 80", domain_error);
    CHECK(times_of(sigma_grid{{80.04, 1}}, edm{}, 2)[0] == 80);
}

TEST_CASE("sigma_grid: is a grid, and prints its levels") {
    CHECK(grid<sigma_grid, edm>);
    CHECK(to_string(sigma_grid{{2, 0.5}}) == "sigma_grid{sigmas = [2, 0.5]}");
    CHECK_FALSE(sigma_grid{{2, 1}} == sigma_grid{{2, 0.5}});
}

}  // namespace sigma_grid_tests
