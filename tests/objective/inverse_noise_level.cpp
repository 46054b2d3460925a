#include <onestep/objective/inverse_noise_level.hpp>

#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/target/trig_velocity.hpp>

#include <doctest/doctest.h>

namespace inverse_noise_level_tests {

using namespace onestep;

TEST_CASE("inverse_noise_level: 1 / (sd tan t) on trigonometric flow, in any space") {
    trigonometric_flow const flow{.sigma_data = 0.7};
    for (double t : {0.01, 0.3, 1.2, 1.56}) {
        marginal const m = marginal_at(flow, t);
        CHECK(inverse_noise_level{}(m) == doctest::Approx(1 / (0.7 * std::tan(t))).epsilon(1e-12));
        CHECK(weight_in(inverse_noise_level{}, trig_velocity{0.7}, m) == inverse_noise_level{}(m));
        CHECK(weight_in(inverse_noise_level{}, x0{}, m) == inverse_noise_level{}(m));
    }
    CHECK(to_string(inverse_noise_level{}) == "inverse_noise_level{}");
}

}  // namespace inverse_noise_level_tests
