#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/doubling.hpp>
#include <onestep/time/trajectory_levels.hpp>
#include <onestep/time/uniform_grid.hpp>

#include <doctest/doctest.h>

#include <map>
#include <utility>

namespace trajectory_levels_tests {

using namespace onestep;

TEST_CASE("trajectory_levels: t any level but the last, u the next, s any from u on, each alike") {
    trajectory_levels const triples{constant_levels{.count = 4}, uniform_grid{}};
    random_stream const stream = random_key{3, 4}.at(draw::time);
    std::map<std::pair<int, int>, int> counts;
    int const n = 30'000;
    for (index_t r = 0; r < n; ++r) {
        time_triple const at = triples.sample(rectified_flow{}, stream, r, 0);
        CHECK(at.u == doctest::Approx(at.t - 1.0 / 3).epsilon(1e-12));
        CHECK(at.s <= at.u);
        ++counts[{static_cast<int>(std::lround(3 * at.t)), static_cast<int>(std::lround(3 * at.s))}];
    }
    CHECK(counts.size() == 6);
    // 3 -> 2, 1, 0: a ninth each; 2 -> 1, 0: a sixth each; 1 -> 0: a third
    for (auto const& [levels, count] : counts) {
        double const p = 1.0 / (3 * levels.first);
        CHECK(std::fabs(count - n * p) < 5 * std::sqrt(n * p * (1 - p)));
    }
}

TEST_CASE("trajectory_levels: a Karras grid of 18 levels and the data, by curriculum") {
    trajectory_levels const triples{constant_levels{.count = 19}};
    random_stream const stream = random_key{3, 4}.at(draw::time);
    karras_grid const grid;
    bool data = false;
    for (index_t r = 0; r < 500; ++r) {
        time_triple const at = triples.sample(edm{}, stream, r, 0);
        int i = 0;
        while (grid.time(edm{}, 80, 0, 18, i) != at.t) REQUIRE(++i < 18);
        CHECK(grid.time(edm{}, 80, 0, 18, i + 1) == at.u);
        data = data || at.s == 0;
    }
    CHECK(data);
    CHECK(trajectory_levels{doubling{.from = 10, .to = 1280, .steps = 800}}.levels(0) ==
          doubling{.from = 10, .to = 1280, .steps = 800}.levels(0));
}

TEST_CASE("trajectory_levels: is a triple density and a spec") {
    CHECK(time_triple_density<trajectory_levels<>, edm>);
    CHECK(to_string(trajectory_levels{}) ==
          "trajectory_levels{curriculum = constant_levels{count = 18}, grid = karras_grid{rho = 7, sigma_min = 0, sigma_max = 0}}");
    CHECK(trajectory_levels{} == trajectory_levels{constant_levels{}});
    // The default grid wants a first level on processes that start at pure noise.
    CHECK_THROWS_AS(trajectory_levels{}.sample(rectified_flow{}, random_key{}.at(draw::time), 0, 0), domain_error);
}

}  // namespace trajectory_levels_tests
