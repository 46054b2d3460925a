#include <onestep/time/normal_quantile.hpp>

#include <doctest/doctest.h>

#include <initializer_list>

namespace normal_quantile_tests {

using namespace onestep;

TEST_CASE("normal_quantile: the inverse of the distribution function, into the tails") {
    CHECK(normal_quantile(0.5) == doctest::Approx(0).epsilon(1e-15));
    CHECK(normal_quantile(0.975) == doctest::Approx(1.959963984540054).epsilon(1e-14));
    CHECK(normal_quantile(0.001) == doctest::Approx(-3.090232306167813).epsilon(1e-14));
    CHECK(normal_quantile(1e-20) == doctest::Approx(-9.262340089798408).epsilon(1e-13));
    for (double z = -30; z <= 6; z += 0.0371) {
        double const p = normal_probability(z);
        // p near 1 knows z to its own rounding over the density.
        double const known = 4e-16 * p * 2.5066282746310005 * std::exp(z * z / 2);
        CHECK(std::fabs(normal_quantile(p) - z) <= 1e-13 * std::fabs(z) + known);
    }
}

TEST_CASE("normal_probability: known values, and both sides add up to one") {
    CHECK(normal_probability(0) == 0.5);
    CHECK(normal_probability(1) == doctest::Approx(0.8413447460685429).epsilon(1e-15));
    CHECK(normal_probability(-10) == doctest::Approx(7.619853024160527e-24).epsilon(1e-13));
    for (double z : {0.3, 1.7, 5.0}) CHECK(normal_probability(z) + normal_probability(-z) == doctest::Approx(1).epsilon(1e-15));
}

}  // namespace normal_quantile_tests
