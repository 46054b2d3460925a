#include <onestep/time/neighbouring_times.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/doubling.hpp>
#include <onestep/time/karras_grid.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace neighbouring_times_tests {

using namespace onestep;

namespace {

/// A curriculum without an interval.
struct single {
    static constexpr char const* name = "single";
    index_t levels(index_t) const { return 1; }
    void fields(auto&&) const {}
};

}  // namespace

static_assert(time_pair_density<neighbouring_times<>, rectified_flow>);
static_assert(time_pair_density<neighbouring_times<doubling, karras_grid>, edm>);

TEST_CASE("neighbouring_times: draws every interval of the grid alike, both ends included") {
    random_stream const stream = random_key{3}.at(draw::time);
    auto const check = [&](auto const& pairs, auto const& process) {
        std::map<double, int> count;
        int const intervals = static_cast<int>(pairs.levels(0)) - 1;
        std::vector<double> const times = times_of(pairs.grid, process, intervals);
        for (index_t row = 0; row < 8000; ++row) {
            time_pair const at = pairs.sample(process, stream, row, 0);
            auto const found = std::find(times.begin(), times.end(), at.t);
            REQUIRE(found + 1 < times.end());
            CHECK(at.s == *(found + 1));
            ++count[at.t];
        }
        CHECK(count.size() == static_cast<std::size_t>(intervals));
        for (auto const& [t, n] : count) CHECK(std::fabs(n - 8000.0 / intervals) < 5 * std::sqrt(8000.0 / intervals));
    };
    check(neighbouring_times{constant_levels{.count = 9}}, rectified_flow{});
    check(neighbouring_times{constant_levels{.count = 9}, karras_grid{}}, edm{});
}

TEST_CASE("neighbouring_times: the number of levels follows the training step") {
    neighbouring_times const pairs{doubling{.from = 2, .to = 8, .steps = 30}};
    random_stream const stream = random_key{3}.at(draw::time);
    for (auto const& [step, intervals] : std::map<index_t, int>{{0, 2}, {10, 4}, {29, 8}, {1000, 8}}) {
        CHECK(pairs.levels(step) == intervals + 1);
        for (index_t row = 0; row < 50; ++row) {
            time_pair const at = pairs.sample(rectified_flow{}, stream, row, step);
            CHECK(at.t - at.s == doctest::Approx(1.0 / intervals).epsilon(1e-14));
        }
    }
}

TEST_CASE("neighbouring_times: refuses a single level and prints what decides it") {
    CHECK_THROWS_WITH_AS((neighbouring_times{single{}}.sample(rectified_flow{}, random_stream{}, 0, 0)),
                         "domain_error: neighbouring_times: 1 levels are asked for, at least 2 are needed", domain_error);
    CHECK(to_string(neighbouring_times{constant_levels{.count = 5}}) ==
          "neighbouring_times{curriculum = constant_levels{count = 5}, grid = uniform_grid{}}");
}

}  // namespace neighbouring_times_tests
