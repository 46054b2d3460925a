#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/grid.hpp>

#include <doctest/doctest.h>

#include <vector>

using onestep::rectified_flow;
using onestep::require_monotone;
using onestep::times_of;
using onestep::uniform_grid;

namespace {

/// A grid that turns back.
struct turning_grid {
    static constexpr char const* name = "turning_grid";
    double time(double, double, int, int i) const { return i == 2 ? 0.9 : 1 - 0.25 * i; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("grid: equal steps fall from noise to data and end there exactly") {
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
    CHECK(uniform_grid{}.time(80, 0.002, 7, 7) == 0.002);
    CHECK(uniform_grid{}.time(80, 0.002, 7, 0) == 80);
}

TEST_CASE("grid: needs at least one step") {
    CHECK_THROWS_WITH_AS(times_of(uniform_grid{}, rectified_flow{}, 0), "domain_error: uniform_grid: steps is 0, at least 1 is needed",
                         onestep::domain_error);
    CHECK_THROWS_WITH_AS(times_of(uniform_grid{}, rectified_flow{}, -3), "domain_error: uniform_grid: steps is -3, at least 1 is needed",
                         onestep::domain_error);
}

TEST_CASE("grid: times move strictly in one direction") {
    CHECK_NOTHROW(require_monotone({1, 0.5, 0}));
    CHECK_NOTHROW(require_monotone({0, 0.5, 1}));
    CHECK_THROWS_WITH_AS(require_monotone({1, 0.5, 0.75, 0}),
                         "domain_error: grid: time 2 is 0.75 after 0.5, times must move strictly in one direction", onestep::domain_error);
    CHECK_THROWS_WITH_AS(require_monotone({0, 0.5, 0.25}),
                         "domain_error: grid: time 2 is 0.25 after 0.5, times must move strictly in one direction", onestep::domain_error);
    CHECK_THROWS_AS(require_monotone({1, 0.5, 0.5, 0}), onestep::domain_error);
    CHECK_THROWS_AS(require_monotone({1, 1}), onestep::domain_error);
    CHECK_THROWS_AS(require_monotone({1, std::nan(""), 0}), onestep::domain_error);
    CHECK_THROWS_WITH_AS(require_monotone({1}), "domain_error: grid: 1 times were given, a grid has at least two", onestep::domain_error);
    CHECK_THROWS_AS(require_monotone({}), onestep::domain_error);
    CHECK_THROWS_AS(times_of(turning_grid{}, rectified_flow{}, 4), onestep::domain_error);
}

TEST_CASE("grid: uniform_grid is a grid and a spec") {
    CHECK(onestep::grid<uniform_grid>);
    CHECK_FALSE(onestep::grid<rectified_flow>);
    CHECK(to_string(uniform_grid{}) == "uniform_grid{}");
    CHECK(uniform_grid{} == uniform_grid{});
}
