#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/time/mode_density.hpp>

#include <string>

#include "densities.hpp"

namespace mode_density_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

double const pi = std::acos(-1.0);

/// P(time <= t): the map falls in u, so it is 1 less the u that is mapped to t, found by bisection.
double distribution(double k, double t) {
    double below = 0, above = 1;
    for (int i = 0; i < 60; ++i) {
        double const u = (below + above) / 2, c = std::cos(pi / 2 * u);
        (1 - u - k * (c * c - 1 + u) > t ? below : above) = u;
    }
    return 1 - above;
}

}  // namespace

TEST_CASE("mode_density: has the published distribution, on any range of times") {
    for (double k : {1.29, -1.0, 2 / (pi - 2)})
        check_distribution(mode_density{k}, rectified_flow{}, [&](double t) { return distribution(k, t); });
    check_distribution(mode_density{}, edm{}, [](double t) { return distribution(1.29, t / 80); });
    check_rows(mode_density{}, rectified_flow{});
}

TEST_CASE("mode_density: uniform for scale 0, heavier in the middle for the default") {
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 100; ++r)
        CHECK(mode_density{0}.sample(rectified_flow{}, stream, r) == doctest::Approx(1 - uniform(stream, r)).epsilon(1e-14));
    // the density at 1/2 is 1 / |dt/du| = 1 / (1 + k - k pi / 2) there, and 1 / (1 + k) at both ends
    double const h = 1e-4, k = 1.29;
    CHECK((distribution(k, 0.5 + h) - distribution(k, 0.5 - h)) / (2 * h) == doctest::Approx(1 / (1 + k - k * pi / 2)).epsilon(1e-3));
    CHECK(distribution(k, h) / h == doctest::Approx(1 / (1 + k)).epsilon(1e-2));
}

TEST_CASE("mode_density: refuses scales that leave the path, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS(mode_density{1.8}.sample(rectified_flow{}, stream, 0),
                         "domain_error: mode_density: scale is 1.8, it must lie in [-1, 2 / (pi - 2)]", domain_error);
    CHECK_THROWS_AS(mode_density{-1.1}.sample(rectified_flow{}, stream, 0), domain_error);
    CHECK_THROWS_AS(mode_density{std::nan("")}.sample(rectified_flow{}, stream, 0), domain_error);
    CHECK(to_string(mode_density{}) == "mode_density{scale = 1.29}");
    CHECK_FALSE(mode_density{} == mode_density{1});
}

}  // namespace mode_density_tests
