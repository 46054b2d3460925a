#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/u_shaped.hpp>

#include <string>

#include "densities.hpp"

namespace u_shaped_tests {

using namespace onestep;
using namespace onestep::test;

namespace {

/// The integral of exp(a u) + exp(a (1 - u)) from 0 to u over that from 0 to 1.
double distribution(double a, double u) {
    return ((std::exp(a * u) - 1) + (std::exp(a) - std::exp(a * (1 - u)))) / (2 * (std::exp(a) - 1));
}

}  // namespace

TEST_CASE("u_shaped: has the density exp(a u) + exp(a (1 - u))") {
    for (double a : {0.5, 4.0, 12.0}) check_distribution(u_shaped{a}, rectified_flow{}, [&](double t) { return distribution(a, t); });
    check_distribution(u_shaped{}, edm{}, [](double t) { return distribution(4, t / 80); });
    check_rows(u_shaped{}, rectified_flow{});
}

TEST_CASE("u_shaped: is symmetric, uniform for exponent 0 and close to it for small ones") {
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 100; ++r) {
        double const u = uniform(stream, r);
        CHECK(u_shaped{0}.sample(rectified_flow{}, stream, r) == doctest::Approx(u).epsilon(1e-14));
        CHECK(std::fabs(u_shaped{1e-9}.sample(rectified_flow{}, stream, r) - u) < 1e-12);
        CHECK(distribution(4, u_shaped{}.sample(rectified_flow{}, stream, r)) == doctest::Approx(u).epsilon(1e-12));
    }
    auto const steep = sorted_times(u_shaped{700}, variance_preserving{}, 2000, 3);
    CHECK(steep.front() >= 1e-3);
    CHECK(steep.back() <= 1);
    CHECK(std::fabs(std::count_if(steep.begin(), steep.end(), [](double t) { return t < 0.5; }) - 1000.0) <
          5 * std::sqrt(500.0));  // one seed in a million fails
}

TEST_CASE("u_shaped: refuses negative and overflowing exponents, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS(u_shaped{-1}.sample(rectified_flow{}, stream, 0),
                         "domain_error: u_shaped: exponent is -1, it must lie in [0, 700]", domain_error);
    CHECK_THROWS_AS(u_shaped{701}.sample(rectified_flow{}, stream, 0), domain_error);
    CHECK_THROWS_AS(u_shaped{std::nan("")}.sample(rectified_flow{}, stream, 0), domain_error);
    CHECK(to_string(u_shaped{}) == "u_shaped{exponent = 4}");
    CHECK_FALSE(u_shaped{} == u_shaped{2});
}

}  // namespace u_shaped_tests
