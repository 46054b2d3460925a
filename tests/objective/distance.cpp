#include <onestep/objective/distance.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace distance_tests {

using namespace onestep;

namespace {

double squared_norm(std::vector<double> const& r) {
    double sum = 0;
    for (double v : r) sum += v * v;
    return sum;
}
/// slope r is the gradient of value(|r|^2): compared with central differences in every element.
template <class Distance> void check_slope(Distance const& rho) {
    for (double size : {0.01, 0.3, 1.0, 20.0}) {
        CAPTURE(size);
        std::vector<double> r{0.5 * size, -size, 0.25 * size, 0.1 * size};
        double const slope = rho.slope(squared_norm(r), 4);
        for (double& element : r) {
            double const at = element, h = 1e-4 * size;
            element = at + h;
            double const above = rho.value(squared_norm(r), 4);
            element = at - h;
            double const below = rho.value(squared_norm(r), 4);
            element = at;
            CHECK((above - below) / (2 * h) == doctest::Approx(slope * at).epsilon(1e-6));
        }
    }
}

}  // namespace

TEST_CASE("distance: squared is the mean of the squared elements") {
    CHECK(squared{}.value(12, 3) == 4);
    CHECK(squared{}.value(0, 3) == 0);
    CHECK(squared{}.slope(12, 4) == 0.5);
    CHECK(squared::constant_slope);
    check_slope(squared{});
}

TEST_CASE("distance: pseudo-Huber is squared near zero and the norm far out") {
    CHECK(pseudo_huber{.c = 3}.value(16, 5) == 2);
    CHECK(pseudo_huber{.c = 3}.slope(16, 5) == 0.2);
    CHECK(pseudo_huber{}.value(0, 5) == 0);
    CHECK(pseudo_huber{.c = 2}.value(1e-4, 1) == doctest::Approx(1e-4 / 4).epsilon(1e-4));
    CHECK(pseudo_huber{.c = 0.5}.value(1e8, 1) == doctest::Approx(1e4 - 0.5).epsilon(1e-8));
    CHECK_FALSE(pseudo_huber::constant_slope);
    check_slope(pseudo_huber{});
    check_slope(pseudo_huber{.c = 1.5});
}

TEST_CASE("distance: specs print and compare") {
    CHECK(to_string(squared{}) == "squared{}");
    CHECK(to_string(pseudo_huber{.c = 0.25}) == "pseudo_huber{c = 0.25}");
    CHECK(pseudo_huber{.c = 0.25} == pseudo_huber{.c = 0.25});
    CHECK_FALSE(pseudo_huber{.c = 0.25} == pseudo_huber{});
}

TEST_CASE("distance: adaptive squared is divided by a power of itself that counts as a constant") {
    CHECK(adaptive_squared{.power = 1, .c = 1}.value(3, 5) == 0.75);
    CHECK(adaptive_squared{.power = 0.5, .c = 1}.value(3, 5) == 1.5);
    CHECK(adaptive_squared{.power = 0, .c = 1}.value(3, 5) == 3);
    CHECK(adaptive_squared{}.value(0, 5) == 0);
    CHECK_FALSE(adaptive_squared::constant_slope);
    // not the derivative of value: that of S with 1 / (S + c)^p held fixed
    for (double s : {1e-4, 0.3, 7.0, 1e6})
        for (double p : {0.0, 0.5, 0.75, 1.0}) {
            double const held = 1 / std::pow(s + 0.01, p), h = 1e-4 * std::sqrt(s), r = std::sqrt(s);
            double const quotient = (held * (r + h) * (r + h) - held * (r - h) * (r - h)) / (2 * h);
            CHECK(adaptive_squared{.power = p}.slope(s, 5) * r == doctest::Approx(quotient).epsilon(1e-8));
        }
    CHECK(to_string(adaptive_squared{}) == "adaptive_squared{power = 1, c = 0.01}");
    CHECK(adaptive_squared{} == adaptive_squared{.power = 1});
    CHECK_FALSE(adaptive_squared{} == adaptive_squared{.power = 0.5});
}

TEST_CASE("distance: reported without what is divided out of it") {
    CHECK(plain_distance(squared{}, 12, 3) == 4);
    CHECK(plain_distance(pseudo_huber{.c = 3}, 16, 5) == 2);
    CHECK(plain_distance(adaptive_squared{}, 12, 3) == 4);  // the mean of the squared elements
}

}  // namespace distance_tests
