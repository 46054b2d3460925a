#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/drawn_middle.hpp>
#include <onestep/time/log_normal.hpp>
#include <onestep/time/uniform_below.hpp>

#include "densities.hpp"

namespace drawn_middle_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// How far of the way from t to s the middle lies, as a density of [0, 1].
template <class Pairs> struct middle_share {
    drawn_middle<Pairs> triples;
    double sample(process auto const& p, random_stream s, index_t row) const {
        time_triple const at = triples.sample(p, s, row, 0);
        return (at.t - at.u) / (at.t - at.s);
    }
};

}  // namespace

TEST_CASE("drawn_middle: t and s of the pairs, and the middle uniform from t on") {
    drawn_middle const triples{sorted_pair{log_normal{}}};
    random_stream const stream = random_key{3, 4}.at(draw::time);
    for (index_t r = 0; r < 1000; ++r) {
        time_triple const at = triples.sample(edm{}, stream, r, 7);
        time_pair const pair = sorted_pair{log_normal{}}.sample(edm{}, stream, r, 7);
        CHECK(at.t == pair.t);
        CHECK(at.s == pair.s);
        CHECK((at.s <= at.u && at.u <= at.t));
    }
    check_distribution(middle_share<uniform_below>{{uniform_below{}}}, rectified_flow{}, [](double u) { return u; });
    check_distribution(middle_share<uniform_below>{{uniform_below{}, 0.25}}, rectified_flow{},
                       [](double u) { return std::fmin(4 * u, 1); });
    check_rows(middle_share<uniform_below>{{uniform_below{}}}, rectified_flow{});
}

TEST_CASE("drawn_middle: refuses a reach outside its range, and is a triple density and a spec") {
    CHECK_THROWS_WITH((drawn_middle{sorted_pair{}, 0.0}.sample(rectified_flow{}, random_key{}.at(draw::time), 0, 0)),
                      "domain_error: drawn_middle: reach is 0, it must lie in (0, 1]");
    CHECK_THROWS_AS((drawn_middle{sorted_pair{}, 1.5}.sample(rectified_flow{}, random_key{}.at(draw::time), 0, 0)), domain_error);
    CHECK(time_triple_density<drawn_middle<>, rectified_flow>);
    CHECK(to_string(drawn_middle{uniform_below{}, 0.5}) == "drawn_middle{pairs = uniform_below{begin = 0, end = 0.994}, reach = 0.5}");
    CHECK(drawn_middle{} == drawn_middle{sorted_pair{}, 1.0});
}

}  // namespace drawn_middle_tests
