#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/bounded_pair.hpp>
#include <onestep/time/uniform_density.hpp>

#include "densities.hpp"

namespace bounded_pair_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

using recipe = bounded_pair<logit_normal, logit_normal>;

/// One of a pair's two times, as a density.
struct side {
    recipe pairs;
    bool later;
    double sample(process auto const& p, random_stream s, index_t row) const {
        time_pair const pair = pairs.sample(p, s, row, 0);
        return later ? pair.t : pair.s;
    }
};

}  // namespace

TEST_CASE("bounded_pair: t has its own density, s is the smaller of t and an independent draw of the other") {
    bounded_pair const pairs{logit_normal{-0.6, 1.6}, logit_normal{-4, 1.6}};
    auto const f = [](double t, double mean) { return normal_distribution((std::log(t / (1 - t)) - mean) / 1.6); };
    check_distribution(side{pairs, true}, rectified_flow{}, [&](double t) { return f(t, -0.6); });
    check_distribution(side{pairs, false}, rectified_flow{}, [&](double t) { return 1 - (1 - f(t, -0.6)) * (1 - f(t, -4)); });
    check_rows(side{pairs, true}, rectified_flow{});
    check_rows(side{pairs, false}, rectified_flow{});
}

TEST_CASE("bounded_pair: s is t where the draw falls after it") {
    random_stream const stream = random_key{3, 4}.at(draw::time);
    random_stream second = stream;
    second.first_sample += std::uint64_t{1} << 63;
    bounded_pair const pairs{uniform_density{}, logit_normal{1, 1}};
    int equal = 0;
    for (index_t r = 0; r < 1000; ++r) {
        time_pair const pair = pairs.sample(edm{}, stream, r, 0);
        double const t = uniform_density{}.sample(edm{}, stream, r), s = logit_normal{1, 1}.sample(edm{}, second, r);
        CHECK(pair.t == t);
        CHECK(pair.s == std::min(t, s));
        equal += pair.s == pair.t;
    }
    CHECK(equal > 500);
    CHECK(equal < 900);
}

TEST_CASE("bounded_pair: is a pair density and a spec") {
    CHECK(time_pair_density<recipe, edm>);
    CHECK(to_string(bounded_pair{logit_normal{-0.6, 1.6}, uniform_density{}}) ==
          "bounded_pair{later = logit_normal{mean = -0.6, deviation = 1.6}, earlier = uniform_density{}}");
    CHECK(recipe{} == recipe{logit_normal{}, logit_normal{}});
    CHECK_FALSE(recipe{} == recipe{logit_normal{1}, logit_normal{}});
}

}  // namespace bounded_pair_tests
