#include <onestep/objective/tangent_norm.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace tangent_norm_tests {

using namespace onestep;

TEST_CASE("tangent_norm: the two norms differ by sqrt(d) in the meaning of c") {
    for (double s : {0.0, 1e-8, 0.3, 4.0, 1e6}) {
        CHECK(rms_tangent{.c = 0.1}.factor(s, 9) == doctest::Approx(1 / (std::sqrt(s / 9) + 0.1)).epsilon(1e-14));
        CHECK(norm_tangent{.c = 0.3}.factor(s, 9) == doctest::Approx(1 / (std::sqrt(s) + 0.3)).epsilon(1e-14));
        CHECK(rms_tangent{.c = 0.1}.factor(s, 9) == doctest::Approx(3 * norm_tangent{.c = 0.3}.factor(s, 9)).epsilon(1e-14));
        CHECK(clamped_tangent{}.factor(s, 9) == 1);
        CHECK(plain_tangent{}.factor(s, 9) == 1);
    }
    // However large g is, its root mean square stays below 1, its norm below 1.
    CHECK(rms_tangent{}.factor(1e12, 4) * std::sqrt(1e12 / 4) < 1);
    CHECK(norm_tangent{}.factor(1e12, 4) * 1e6 < 1);
}

TEST_CASE("tangent_norm: clamping acts on each element alone") {
    clamped_tangent const norm{.limit = 0.5};
    CHECK(norm.element(0.4) == 0.4);
    CHECK(norm.element(0.6) == 0.5);
    CHECK(norm.element(-7.0) == -0.5);
    CHECK(norm.element(-0.25f) == -0.25f);
    CHECK(rms_tangent{}.element(7.0) == 7);
    CHECK(norm_tangent{}.element(7.0) == 7);
    CHECK(plain_tangent{}.element(7.0) == 7);
    CHECK(std::isnan(norm.element(std::nan(""))));  // a broken tangent is not hidden
}

TEST_CASE("tangent_norm: numbers outside their range are refused, and all say what they are") {
    CHECK_THROWS_WITH_AS(rms_tangent{.c = 0}.check(), "domain_error: rms_tangent: c is 0, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS(norm_tangent{.c = -1}.check(), "domain_error: norm_tangent: c is -1, it must be > 0", domain_error);
    CHECK_THROWS_WITH_AS(clamped_tangent{.limit = std::nan("")}.check(), "domain_error: clamped_tangent: limit is nan, it must be > 0",
                         domain_error);
    plain_tangent{}.check();
    CHECK(to_string(rms_tangent{}) == "rms_tangent{c = 0.1}");
    CHECK(to_string(norm_tangent{}) == "norm_tangent{c = 0.1}");
    CHECK(to_string(clamped_tangent{}) == "clamped_tangent{limit = 1}");
    CHECK(to_string(plain_tangent{}) == "plain_tangent{}");
}

}  // namespace tangent_norm_tests
