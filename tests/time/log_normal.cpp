#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/log_normal.hpp>

#include <string>

#include "densities.hpp"

namespace log_normal_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("log_normal: the logarithm of the noise level is normal, on any process") {
    auto const check = [](auto const& p, log_normal const& density) {
        // Beyond the process's levels the weight lies at its ends.
        check_distribution(density, p, [&](double t) {
            return t >= p.t_max() ? 1 : normal_distribution((std::log(noise_to_signal(p, t)) - density.mean) / density.deviation);
        });
        check_rows(density, p);
    };
    check(edm{}, {});
    check(rectified_flow{}, {.mean = -1.1, .deviation = 2});
    check(trigonometric_flow{}, {.mean = -1, .deviation = 1.4});
    check(edm{}, {.mean = 0.5, .deviation = 0.2});
}

TEST_CASE("log_normal: levels beyond the process lie at its ends") {
    constexpr index_t n = 1 << 14;
    variance_preserving const p;
    log_normal const wide{.mean = 0, .deviation = 6};
    auto const times = sorted_times(wide, p, n, 5);
    auto const at_end = static_cast<double>(std::count(times.begin(), times.end(), p.t_min()));
    auto const at_start = static_cast<double>(std::count(times.begin(), times.end(), p.t_max()));
    double const low = normal_distribution(std::log(noise_to_signal(p, p.t_min())) / 6),
                 high = 1 - normal_distribution(std::log(noise_to_signal(p, 1)) / 6);
    CHECK(std::fabs(at_end / n - low) < 5 * std::sqrt(low * (1 - low) / n));  // one seed in a million fails
    CHECK(std::fabs(at_start / n - high) < 5 * std::sqrt(high * (1 - high) / n));
    auto const levels = sorted_times(wide, discrete{}, 500, 5);
    CHECK(levels.front() >= 0);
    CHECK(levels.back() <= 1000);
    auto const far = sorted_times(log_normal{.mean = 0, .deviation = 1000}, rectified_flow{}, 500, 5);  // exp overflows and underflows
    CHECK(far.front() == 0);
    CHECK(far.back() == 1);
}

TEST_CASE("log_normal: refuses a deviation that is not positive, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((log_normal{.deviation = 0}.sample(edm{}, stream, 0)), "domain_error: log_normal: deviation is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS((log_normal{.deviation = std::nan("")}.sample(edm{}, stream, 0)), domain_error);
    CHECK(time_density<log_normal, edm>);
    CHECK(to_string(log_normal{}) == "log_normal{mean = -1.2, deviation = 1.2}");
    CHECK_FALSE(log_normal{} == log_normal{.mean = -1.1});
}

}  // namespace log_normal_tests
