#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/log_uniform.hpp>

#include <string>

#include "densities.hpp"

namespace log_uniform_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("log_uniform: the logarithm of the noise level is uniform, on any process") {
    auto const check = [](auto const& p, log_uniform const& density) {
        check_distribution(density, p,
                           [&](double t) { return std::log(noise_to_signal(p, t) / density.low) / std::log(density.high / density.low); });
        check_rows(density, p);
    };
    check(edm{}, {});
    check(rectified_flow{}, {.low = 0.01, .high = 3});
    check(variance_preserving{}, {.low = 0.05, .high = 100});
}

TEST_CASE("log_uniform: levels beyond the process lie at its ends") {
    constexpr index_t n = 1 << 14;
    auto const times = sorted_times(log_uniform{.low = 0.1, .high = 1000}, edm{}, n, 5);
    double const share = std::log(1000.0 / 80) / std::log(10000.0);
    CHECK(std::fabs(static_cast<double>(std::count(times.begin(), times.end(), 80.0)) / n - share) <
          5 * std::sqrt(share * (1 - share) / n));  // one seed in a million fails
}

TEST_CASE("log_uniform: refuses bounds that are no range, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((log_uniform{.low = 0}.sample(edm{}, stream, 0)),
                         "domain_error: log_uniform: low is 0 and high is 80, 0 < low < high, both finite, is needed", domain_error);
    CHECK_THROWS_AS((log_uniform{.low = 2, .high = 2}.sample(edm{}, stream, 0)), domain_error);
    CHECK_THROWS_AS((log_uniform{.low = 2, .high = HUGE_VAL}.sample(edm{}, stream, 0)), domain_error);
    CHECK(time_density<log_uniform, edm>);
    CHECK(to_string(log_uniform{}) == "log_uniform{low = 0.002, high = 80}");
    CHECK_FALSE(log_uniform{} == log_uniform{.high = 100});
}

}  // namespace log_uniform_tests
