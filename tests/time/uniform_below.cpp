#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/uniform_below.hpp>

#include "densities.hpp"

namespace uniform_below_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// t, or s as a share of the way from the first time to t.
struct drawn {
    uniform_below pairs;
    bool later;
    double sample(process auto const& p, random_stream s, index_t row) const {
        time_pair const at = pairs.sample(p, s, row, 0);
        double const first = p.t_min() + (p.t_max() - p.t_min()) * pairs.begin;
        return later ? at.t : (at.s - first) / (at.t - first);
    }
};

}  // namespace

TEST_CASE("uniform_below: t uniform between the bounds, s uniform below t") {
    uniform_below const pairs{0.1, 0.9};
    check_distribution(drawn{pairs, true}, rectified_flow{}, [](double t) { return std::fmin(std::fmax((t - 0.1) / 0.8, 0), 1); });
    check_distribution(drawn{pairs, false}, rectified_flow{}, [](double share) { return share; });
    check_rows(drawn{pairs, true}, rectified_flow{});
    check_rows(drawn{pairs, false}, rectified_flow{});
    // In shares of the process's range.
    random_stream const stream = random_key{5}.at(draw::time);
    CHECK(pairs.sample(edm{}, stream, 3, 0).t == doctest::Approx(80 * pairs.sample(rectified_flow{}, stream, 3, 0).t).epsilon(1e-14));
}

TEST_CASE("uniform_below: refuses bounds out of order, and is a pair density and a spec") {
    auto const draw_of = [](uniform_below const& pairs) { return pairs.sample(edm{}, random_key{}.at(draw::time), 0, 0); };
    CHECK_THROWS_WITH(draw_of({0.5, 0.5}), "domain_error: uniform_below: begin is 0.5 and end is 0.5, 0 <= begin < end <= 1 is needed");
    CHECK_THROWS_AS(draw_of({-0.1, 0.5}), domain_error);
    CHECK_THROWS_AS(draw_of({0, 1.1}), domain_error);
    CHECK(time_pair_density<uniform_below, rectified_flow>);
    CHECK(to_string(uniform_below{}) == "uniform_below{begin = 0, end = 0.994}");
}

}  // namespace uniform_below_tests
