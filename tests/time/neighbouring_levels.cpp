#include <onestep/time/neighbouring_levels.hpp>

#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/doubling.hpp>
#include <onestep/time/square_root_levels.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace neighbouring_levels_tests {

using namespace onestep;

namespace {

/// Level i of n by the formula of the paper.
double karras_level(double low, double high, double rho, index_t i, index_t n) {
    double const a = std::pow(low, 1 / rho), b = std::pow(high, 1 / rho);
    return std::pow(a + static_cast<double>(i) / static_cast<double>(n - 1) * (b - a), rho);
}

template <class Pairs, class Process>
void check_pairs(Pairs const& pairs, Process const& p, double low, double high, index_t step, double tolerance = 1e-9) {
    random_stream const stream = random_key{9, static_cast<std::uint64_t>(step)}.at(draw::time);
    index_t const n = pairs.levels(step);
    std::set<index_t> seen;
    for (index_t row = 0; row < 400; ++row) {
        time_pair const at = pairs.sample(p, stream, row, step);
        index_t const i = pairs.choice.choose(rising_levels(pairs.grid, p, n), stream, row);
        seen.insert(i);
        CHECK(noise_to_signal(p, at.t) == doctest::Approx(karras_level(low, high, pairs.grid.rho, i + 1, n)).epsilon(tolerance));
        CHECK(noise_to_signal(p, at.s) == doctest::Approx(karras_level(low, high, pairs.grid.rho, i, n)).epsilon(tolerance));
        CHECK(p.t_min() <= at.s);
        CHECK(at.s < at.t);
        CHECK(at.t <= p.t_max());
    }
    if (n <= 18) CHECK(static_cast<index_t>(seen.size()) == n - 1);
}

}  // namespace

TEST_CASE("neighbouring_levels: two neighbours of the paper's levels, on any process") {
    neighbouring_levels const eighteen{};
    check_pairs(eighteen, edm{}, 0.002, 80, 0);
    check_pairs(eighteen, edm{.sigma_min = 0.01, .sigma_max = 10}, 0.01, 10, 0);
    check_pairs(eighteen, trigonometric_flow{.sigma_data = 0.5}, 0.002, 80, 0);
    check_pairs(
        neighbouring_levels{constant_levels{.count = 7}, uniform_level{}, karras_grid{.rho = 3, .sigma_min = 0.05, .sigma_max = 20}},
        rectified_flow{}, 0.05, 20, 0);
    variance_preserving const vp;
    check_pairs(eighteen, vp, std::fmax(0.002, noise_to_signal(vp, vp.t_min())), noise_to_signal(vp, vp.t_max()), 0);
    discrete const table;
    check_pairs(eighteen, table, 0.002, noise_to_signal(table, 1000), 0);
    check_pairs(neighbouring_levels{constant_levels{.count = 12}, log_normal_level{.mean = 0}, karras_grid{.sigma_max = 80}},
                rectified_flow{}, 0.002, 80, 0);
}

TEST_CASE("neighbouring_levels: both ends are exact") {
    neighbouring_levels const two{constant_levels{.count = 2}};
    random_stream const stream = random_key{9}.at(draw::time);
    time_pair const whole = two.sample(edm{}, stream, 0, 0);
    CHECK(whole.t == 80);
    CHECK(whole.s == 0.002);
    variance_preserving const vp;
    CHECK(two.sample(vp, stream, 3, 0).t == vp.t_max());
    variance_exploding const ve;  // its end lies above 0.002: that is the lowest level then
    CHECK(two.sample(ve, stream, 3, 0).s == doctest::Approx(ve.t_min()).epsilon(1e-12));
    CHECK(two.sample(ve, stream, 3, 0).s >= ve.t_min());
    CHECK(two.sample(ve, stream, 3, 0).t == ve.t_max());
}

TEST_CASE("neighbouring_levels: the curriculum follows the training step") {
    neighbouring_levels const first{square_root_levels{.steps = 800'000}};
    CHECK(first.levels(0) == 2);
    CHECK(first.levels(400'000) == 107);
    check_pairs(first, edm{}, 0.002, 80, 0);
    check_pairs(first, edm{}, 0.002, 80, 10'000);
    neighbouring_levels const improved{doubling{.steps = 400'000}, log_normal_level{}};
    check_pairs(improved, edm{}, 0.002, 80, 0);
    check_pairs(improved, edm{}, 0.002, 80, 399'999);
}

TEST_CASE("neighbouring_levels: a row's pair depends on the stream and the row's global number alone") {
    neighbouring_levels const pairs{constant_levels{.count = 100}, log_normal_level{}};
    random_stream const stream = random_key{33, 4, 0}.at(draw::time), later = random_key{33, 4, 100}.at(draw::time);
    for (index_t r = 0; r < 100; ++r) {
        time_pair const a = pairs.sample(edm{}, stream, r + 100, 5), b = pairs.sample(edm{}, later, r, 5);
        CHECK(a.t == b.t);
        CHECK(a.s == b.s);
    }
}

TEST_CASE("neighbouring_levels: refuses an infinite start and numbers outside their range, and is a spec") {
    random_stream const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS(neighbouring_levels{}.sample(rectified_flow{}, stream, 0, 0),
                         "domain_error: karras_grid: the process starts at an infinite noise level, give sigma_max, 80 for example",
                         domain_error);
    CHECK_THROWS_WITH_AS((neighbouring_levels{constant_levels{}, uniform_level{}, karras_grid{.rho = 0}}.sample(edm{}, stream, 0, 0)),
                         "domain_error: karras_grid: rho is 0, it must be > 0", domain_error);
    CHECK_THROWS_AS((neighbouring_levels{constant_levels{.count = 1}}.sample(edm{}, stream, 0, 0)), domain_error);
    CHECK_THROWS_AS((neighbouring_levels{constant_levels{}, uniform_level{}, karras_grid{.sigma_max = 90}}.sample(edm{}, stream, 0, 0)),
                    domain_error);
    CHECK(time_pair_density<neighbouring_levels<doubling, log_normal_level>, edm>);
    CHECK(to_string(neighbouring_levels{}) ==
          "neighbouring_levels{curriculum = constant_levels{count = 18}, choice = uniform_level{}, grid = karras_grid{rho = 7, "
          "sigma_min = 0, sigma_max = 0}}");
}

}  // namespace neighbouring_levels_tests
