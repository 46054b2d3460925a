#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/log_normal.hpp>
#include <onestep/time/sorted_pair.hpp>
#include <onestep/time/uniform_density.hpp>

#include "densities.hpp"

namespace sorted_pair_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// One of a pair's two times, as a density.
template <class Pairs> struct side {
    Pairs pairs;
    bool later;
    double sample(process auto const& p, random_stream s, index_t row) const {
        time_pair const pair = pairs.sample(p, s, row, 0);
        return later ? pair.t : pair.s;
    }
};

}  // namespace

TEST_CASE("sorted_pair: the larger and the smaller of two independent draws") {
    // P(larger <= a) = F^2, P(smaller <= a) = 1 - (1 - F)^2
    sorted_pair const pairs{logit_normal{-0.4, 1}};
    auto const f = [](double t) { return normal_distribution(std::log(t / (1 - t)) + 0.4); };
    check_distribution(side<sorted_pair<>>{pairs, true}, rectified_flow{}, [&](double t) { return f(t) * f(t); });
    check_distribution(side<sorted_pair<>>{pairs, false}, rectified_flow{}, [&](double t) { return 1 - (1 - f(t)) * (1 - f(t)); });
    check_rows(side<sorted_pair<>>{pairs, true}, rectified_flow{});
    check_rows(side<sorted_pair<>>{pairs, false}, rectified_flow{});
}

TEST_CASE("sorted_pair: its two draws are those of the density at two samples, in order") {
    random_stream const stream = random_key{3, 4, 7}.at(draw::time);
    random_stream second = stream;
    second.first_sample += std::uint64_t{1} << 63;
    log_normal const density{.mean = 0.5, .deviation = 1.5};
    double covariance = 0;
    index_t const n = 20'000;
    for (index_t r = 0; r < n; ++r) {
        double const a = density.sample(edm{}, stream, r), b = density.sample(edm{}, second, r);
        time_pair const pair = sorted_pair{density}.sample(edm{}, stream, r, 5);
        CHECK(pair.t == std::max(a, b));
        CHECK(pair.s == std::min(a, b));
        double const u = uniform(stream, r) - 0.5, v = uniform(second, r) - 0.5;
        covariance += 12 * u * v / static_cast<double>(n);
    }
    CHECK(std::fabs(covariance) < 5 / std::sqrt(static_cast<double>(n)));
}

TEST_CASE("sorted_pair: is a pair density and a spec") {
    CHECK(time_pair_density<sorted_pair<>, edm>);
    CHECK(time_pair_density<sorted_pair<uniform_density>, rectified_flow>);
    CHECK(to_string(sorted_pair{logit_normal{-2, 2}}) == "sorted_pair{density = logit_normal{mean = -2, deviation = 2}}");
    CHECK(sorted_pair{} == sorted_pair{logit_normal{}});
    CHECK_FALSE(sorted_pair{} == sorted_pair{logit_normal{-2, 2}});
    CHECK_THROWS_AS((sorted_pair{logit_normal{0, 0}}.sample(edm{}, random_key{}.at(draw::time), 0, 0)), domain_error);
}

}  // namespace sorted_pair_tests
