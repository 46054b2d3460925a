#include <onestep/train/linear_rate.hpp>

#include <doctest/doctest.h>

namespace linear_rate_tests {

using onestep::linear_rate;

TEST_CASE("linear_rate: up over the warm-up, then down on a line, then the floor") {
    linear_rate const rate{.steps = 10, .warmup = 4, .floor = 0.25};
    CHECK(rate.factor(0) == 0.25);
    CHECK(rate.factor(3) == 1);
    CHECK(rate.factor(4) == 1);
    CHECK(rate.factor(6) == doctest::Approx(0.75));
    CHECK(rate.factor(9) == doctest::Approx(0.375));
    CHECK(rate.factor(10) == 0.25);
    CHECK(rate.factor(1000) == 0.25);
    CHECK(linear_rate{.steps = 100}.factor(99) == doctest::Approx(0.01));
    CHECK_THROWS_WITH_AS((linear_rate{.steps = 3, .warmup = 3}.factor(0)),
                         "domain_error: linear_rate: steps is 3 and warmup 3, steps > warmup >= 0 is needed", onestep::domain_error);
    CHECK(onestep::to_string(rate) == "linear_rate{steps = 10, warmup = 4, floor = 0.25}");
}

}  // namespace linear_rate_tests
