#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/discrete_density.hpp>
#include <onestep/time/shifted_density.hpp>
#include <onestep/time/uniform_density.hpp>

#include <string>

#include "densities.hpp"

namespace shifted_density_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("shifted_density: the other density's times, shifted") {
    // Of a uniform u: P(t <= x) = x / (s - (s - 1) x). Of a logit-normal one the mean moves by log s.
    check_distribution(shifted_density{uniform_density{}, 3}, rectified_flow{}, [](double t) { return t / (3 - 2 * t); });
    check_distribution(shifted_density{logit_normal{.mean = 0.2}, 6}, rectified_flow{},
                       [](double t) { return normal_distribution(std::log(t / (1 - t)) - 0.2 - std::log(6.0)); });
    check_distribution(shifted_density{uniform_density{}, 3}, variance_preserving{}, [](double t) {
        double const u = (t - 1e-3) / (1 - 1e-3);
        return u / (3 - 2 * u);
    });
    check_rows(shifted_density{logit_normal{}, 3}, rectified_flow{});
}

TEST_CASE("shifted_density: a shift of 1 changes nothing") {
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 50; ++r)
        CHECK(shifted_density{logit_normal{}, 1}.sample(rectified_flow{}, stream, r) ==
              doctest::Approx(logit_normal{}.sample(rectified_flow{}, stream, r)).epsilon(1e-14));
}

TEST_CASE("shifted_density: refuses other ranges and shifts, and what its density refuses") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((shifted_density{logit_normal{}, 0}.sample(rectified_flow{}, stream, 0)),
                         "domain_error: shifted_density: shift is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS((shifted_density{logit_normal{}, 3}.sample(edm{}, stream, 0)),
                         "domain_error: shifted_density: the process runs on [0, 80], a shift is defined on times in [0, 1]", domain_error);
    CHECK_THROWS_WITH_AS((shifted_density{logit_normal{.deviation = 0}, 3}.sample(rectified_flow{}, stream, 0)),
                         doctest::Contains("logit_normal: deviation"), domain_error);
}

TEST_CASE("shifted_density: is a density where the other is one, and prints both") {
    CHECK(time_density<shifted_density<logit_normal>, rectified_flow>);
    CHECK_FALSE(time_density<shifted_density<discrete_density>, rectified_flow>);
    CHECK(to_string(shifted_density<>{.shift = 2}) == "shifted_density{density = logit_normal{mean = 0, deviation = 1}, shift = 2}");
    CHECK(shifted_density{uniform_density{}} == shifted_density{uniform_density{}, 3});
    CHECK_FALSE(shifted_density{uniform_density{}} == shifted_density{uniform_density{}, 2});
}

}  // namespace shifted_density_tests
