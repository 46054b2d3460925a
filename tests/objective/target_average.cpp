#include <onestep/objective/target_average.hpp>

#include <onestep/time/neighbouring_levels.hpp>
#include <onestep/time/square_root_levels.hpp>

#include <doctest/doctest.h>

#include <string>

namespace target_average_tests {

using namespace onestep;

TEST_CASE("adaptive_average: mu(k) = exp(s0 log mu0 / N(k)) with the paper's N, or N - 1 as the code has it") {
    neighbouring_levels const pairs{square_root_levels{}};
    double const n[] = {2, 6, 17, 54, 107, 151};
    index_t const step[] = {0, 1'000, 10'000, 100'000, 400'000, 799'999};
    for (int i = 0; i < 6; ++i) {
        CHECK(adaptive_average{}.decay(pairs, step[i]) == doctest::Approx(std::exp(2 * std::log(0.9) / n[i])).epsilon(1e-14));
        adaptive_average const code{.mu = 0.95, .divisor = average_divisor::intervals};
        CHECK(code.decay(pairs, step[i]) == doctest::Approx(std::exp(2 * std::log(0.95) / (n[i] - 1))).epsilon(1e-14));
    }
    CHECK(adaptive_average{}.decay(pairs, 0) == doctest::Approx(0.9).epsilon(1e-15));
}

TEST_CASE("target_average: a constant, none, and which pairs an adaptive one asks for") {
    struct other_pairs {};
    CHECK(constant_average{.mu = 0.95}.decay(other_pairs{}, 5) == 0.95);
    CHECK(target_average<constant_average, other_pairs>);
    CHECK(target_average<no_average, other_pairs>);
    CHECK(target_average<adaptive_average, neighbouring_levels<>>);
    CHECK_FALSE(target_average<adaptive_average, other_pairs>);
}

TEST_CASE("target_average: refuses decays outside their range, and is a spec") {
    neighbouring_levels const pairs{};
    CHECK_THROWS_WITH_AS(constant_average{.mu = 1}.decay(pairs, 0), "domain_error: constant_average: mu is 1, it must be in [0, 1)",
                         domain_error);
    CHECK_THROWS_AS(constant_average{.mu = -0.1}.decay(pairs, 0), domain_error);
    CHECK_THROWS_WITH_AS(adaptive_average{.mu = 0}.decay(pairs, 0), "domain_error: adaptive_average: mu is 0, it must be in (0, 1)",
                         domain_error);
    CHECK(to_string(no_average{}) == "no_average{}");
    CHECK(to_string(constant_average{}) == "constant_average{mu = 0.95}");
    CHECK(to_string(adaptive_average{}) == "adaptive_average{mu = 0.9, divisor = levels}");
}

}  // namespace target_average_tests
