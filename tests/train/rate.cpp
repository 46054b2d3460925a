#include <onestep/train/rate.hpp>

#include <doctest/doctest.h>

namespace rate_tests {

using namespace onestep;

TEST_CASE("rate: constant, with and without warm-up") {
    for (index_t step : {0, 1, 100000}) CHECK(constant_rate{}.factor(step) == 1);
    constant_rate const warm{.warmup = 4};
    CHECK(warm.factor(0) == 0.25);
    CHECK(warm.factor(1) == 0.5);
    CHECK(warm.factor(3) == 1);
    CHECK(warm.factor(4) == 1);
    CHECK(warm.factor(1000) == 1);
}

TEST_CASE("rate: half a cosine between warm-up and floor") {
    cosine_rate const rate{.steps = 110, .warmup = 10, .floor = 0.2};
    CHECK(rate.factor(0) == 0.1);
    CHECK(rate.factor(4) == 0.5);
    CHECK(rate.factor(9) == 1);
    CHECK(rate.factor(10) == 1);
    CHECK(rate.factor(35) == doctest::Approx(0.2 + 0.8 * (1 + std::sqrt(0.5)) / 2).epsilon(1e-14));  // a quarter of the way
    CHECK(rate.factor(60) == doctest::Approx(0.6).epsilon(1e-14));
    CHECK(rate.factor(85) == doctest::Approx(0.2 + 0.8 * (1 - std::sqrt(0.5)) / 2).epsilon(1e-14));
    CHECK(rate.factor(110) == 0.2);
    CHECK(rate.factor(1'000'000) == 0.2);
    for (index_t step = 10; step < 110; ++step) CHECK(rate.factor(step + 1) < rate.factor(step));
    CHECK(cosine_rate{.steps = 2}.factor(1) == doctest::Approx(0.5).epsilon(1e-15));
    CHECK(cosine_rate{.steps = 2}.factor(2) == 0);
}

TEST_CASE("rate: refuses a schedule that ends before its warm-up") {
    CHECK_THROWS_WITH_AS((cosine_rate{.steps = 10, .warmup = 10}.factor(0)),
                         "domain_error: cosine_rate: steps is 10 and warmup 10, steps > warmup >= 0 is needed", domain_error);
    CHECK_THROWS_AS((cosine_rate{.steps = 10, .warmup = -1}.factor(0)), domain_error);
    CHECK_THROWS_AS((cosine_rate{.steps = 0}.factor(0)), domain_error);
}

TEST_CASE("rate: specs print and compare") {
    CHECK(to_string(constant_rate{.warmup = 3}) == "constant_rate{warmup = 3}");
    CHECK(to_string(cosine_rate{.steps = 7, .floor = 0.5}) == "cosine_rate{steps = 7, warmup = 0, floor = 0.5}");
    CHECK(cosine_rate{} == cosine_rate{});
    CHECK_FALSE(cosine_rate{.floor = 0.1} == cosine_rate{});
    CHECK_FALSE(constant_rate{.warmup = 1} == constant_rate{});
}

}  // namespace rate_tests
