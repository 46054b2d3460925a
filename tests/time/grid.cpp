#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/grid.hpp>

#include <doctest/doctest.h>

#include <vector>

namespace grid_tests {

using onestep::edm;
using onestep::rectified_flow;
using onestep::require_monotone;
using onestep::times_of;

namespace {

/// A grid that turns back.
struct turning_grid {
    static constexpr char const* name = "turning_grid";
    double time(rectified_flow const&, double, double, int, int i) const { return i == 2 ? 0.9 : 1 - 0.25 * i; }
    void fields(auto&&) const {}
};
/// Repeats what it is told.
struct told {
    double from, to;
    int steps, i;
    friend bool operator==(told const&, told const&) = default;
};
struct listening_grid {
    static constexpr char const* name = "listening_grid";
    std::vector<told>* heard;
    double time(auto const&, double from, double to, int steps, int i) const {
        heard->push_back({from, to, steps, i});
        return -i;
    }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("grid: is asked for every time of a process from its noise end to its data end") {
    std::vector<told> heard;
    CHECK(times_of(listening_grid{&heard}, edm{}, 2) == std::vector<double>{0, -1, -2});
    CHECK(heard == std::vector<told>{{80, 0, 2, 0}, {80, 0, 2, 1}, {80, 0, 2, 2}});
}

TEST_CASE("grid: may know one process only") {
    CHECK(onestep::grid<turning_grid, rectified_flow>);
    CHECK_FALSE(onestep::grid<turning_grid, edm>);
    CHECK_FALSE(onestep::grid<rectified_flow, rectified_flow>);
    CHECK_FALSE(onestep::grid<listening_grid, turning_grid>);
}

TEST_CASE("grid: needs at least one step") {
    std::vector<told> heard;
    CHECK_THROWS_WITH_AS(times_of(listening_grid{&heard}, rectified_flow{}, 0),
                         "domain_error: listening_grid: steps is 0, at least 1 is needed", onestep::domain_error);
    CHECK_THROWS_WITH_AS(times_of(listening_grid{&heard}, rectified_flow{}, -3),
                         "domain_error: listening_grid: steps is -3, at least 1 is needed", onestep::domain_error);
    CHECK(heard.empty());
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

}  // namespace grid_tests
