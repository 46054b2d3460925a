#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/time/uniform_angle.hpp>

#include <string>

#include "densities.hpp"

namespace uniform_angle_tests {

using namespace onestep;
using namespace onestep::test;

TEST_CASE("uniform_angle: the angle of the path is uniform, on any process") {
    auto const check = [](auto const& p, uniform_angle const& density) {
        auto const angle = [&](double t) { return std::atan(noise_to_signal(p, t) / density.sigma_data); };
        double const low = angle(p.t_min()), high = angle(p.t_max());
        check_distribution(density, p, [&](double t) { return (angle(t) - low) / (high - low); });
        check_rows(density, p);
    };
    check(edm{}, {.sigma_data = 0.5});
    check(rectified_flow{}, {});
    check(variance_preserving{}, {});
}

TEST_CASE("uniform_angle: a uniform time on trigonometric flow") {
    trigonometric_flow const p{.sigma_data = 0.5};
    auto const stream = random_key{9}.at(draw::time);
    for (index_t r = 0; r < 100; ++r)
        CHECK(uniform_angle{.sigma_data = 0.5}.sample(p, stream, r) == doctest::Approx(p.t_max() * uniform(stream, r)).epsilon(1e-9));
}

TEST_CASE("uniform_angle: refuses data without extent, and is a spec") {
    auto const stream = random_key{1}.at(draw::time);
    CHECK_THROWS_WITH_AS((uniform_angle{.sigma_data = 0}.sample(edm{}, stream, 0)),
                         "domain_error: uniform_angle: sigma_data is 0, it must be > 0", domain_error);
    CHECK(time_density<uniform_angle, edm>);
    CHECK(to_string(uniform_angle{}) == "uniform_angle{sigma_data = 1}");
    CHECK_FALSE(uniform_angle{} == uniform_angle{0.5});
}

}  // namespace uniform_angle_tests
