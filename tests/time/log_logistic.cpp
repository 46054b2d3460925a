#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/log_logistic.hpp>

#include <string>

#include "densities.hpp"

namespace log_logistic_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("log_logistic: the logarithm of the noise level is logistic between the process's ends") {
    auto const check = [](auto const& p, log_logistic const& density) {
        auto const below = [&](double t) {  // (level / e^mean)^(1 / scale) as odds
            double const odds = std::pow(noise_to_signal(p, t) / std::exp(density.mean), 1 / density.scale);
            return odds == HUGE_VAL ? 1 : odds / (1 + odds);
        };
        double const low = below(p.t_min()), high = below(p.t_max());
        check_distribution(density, p, [&](double t) { return (below(t) - low) / (high - low); });
        check_rows(density, p);
    };
    check(edm{}, {.mean = -1, .scale = 0.7});
    check(rectified_flow{}, {});
    check(variance_preserving{}, {.mean = -3, .scale = 2});  // cut at both ends
}

TEST_CASE("log_logistic: a range far from the mean gives its ends, not NaN") {
    auto const times = sorted_times(log_logistic{.mean = 900, .scale = 0.1}, edm{}, 100, 5);
    CHECK(times.front() >= 0);
    CHECK(times.back() <= 80);
}

TEST_CASE("log_logistic: refuses a scale that is not positive, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((log_logistic{.scale = 0}.sample(edm{}, stream, 0)), "domain_error: log_logistic: scale is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS((log_logistic{.scale = std::nan("")}.sample(edm{}, stream, 0)), domain_error);
    CHECK(time_density<log_logistic, edm>);
    CHECK(to_string(log_logistic{}) == "log_logistic{mean = 0, scale = 1}");
    CHECK_FALSE(log_logistic{} == log_logistic{.mean = 1});
}

}  // namespace log_logistic_tests
