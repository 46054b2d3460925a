#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/trigonometric_flow.hpp>
#include <onestep/target/edm_preconditioned.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/trig_velocity.hpp>

#include <doctest/doctest.h>

#include <cmath>

namespace target_concept_tests {

using namespace onestep;

namespace {

struct no_fields {
    static constexpr char const* name = "no_fields";
    target_weights weights(marginal const&) const { return {}; }
};
struct scaled {
    static constexpr char const* name = "scaled";
    target_weights weights(marginal const&) const { return {0, 1}; }
    double input_scale(marginal const& m) const { return 3 * m.t; }
    void fields(auto&&) const {}
};

}  // namespace

TEST_CASE("target: weights, a name and fields make one") {
    CHECK(target<scaled>);
    CHECK_FALSE(target<no_fields>);
    CHECK_FALSE(target<rectified_flow>);
    CHECK(scales_input<scaled>);
    CHECK_FALSE(scales_input<epsilon>);
    CHECK_FALSE(tells_network_time<scaled>);
    CHECK(tells_network_time<edm_preconditioned>);
}

TEST_CASE("target: the input scale is the target's own, else 1") {
    auto const m = marginal_at(rectified_flow{}, 0.25);
    CHECK(input_scale_of(scaled{}, m) == 0.75);
    CHECK(input_scale_of(epsilon{}, m) == 1);
    CHECK(input_scale_of(edm_preconditioned{1}, m) == 1 / std::hypot(0.25, 0.75));
}

TEST_CASE("target: the network's time is the target's, else the process's, else t") {
    CHECK(network_time_of(epsilon{}, rectified_flow{}, 0.25) == 0.25);
    CHECK(network_time_of(epsilon{}, discrete{}, 500) == 499);
    CHECK(network_time_of(edm_preconditioned{}, discrete{}, 500) ==
          doctest::Approx(std::log(discrete{}.sigma(500) / discrete{}.alpha(500)) / 4).epsilon(1e-14));
    CHECK(network_time_of(trig_velocity{}, trigonometric_flow{}, 0.7) == doctest::Approx(0.7).epsilon(1e-15));
}

TEST_CASE("target: a network cannot be told an infinite time") {
    CHECK(has_network_time(edm_preconditioned{}, edm{}, 0.002));
    CHECK_FALSE(has_network_time(edm_preconditioned{}, edm{}, 0));
    CHECK_FALSE(has_network_time(edm_preconditioned{}, rectified_flow{}, 1));
    CHECK(has_network_time(trig_velocity{}, rectified_flow{}, 1));
    CHECK(has_network_time(epsilon{}, edm{}, 0));
    CHECK_FALSE(has_network_time(epsilon{}, edm{}, HUGE_VAL));
    CHECK_THROWS_WITH_AS(
        network_time_of(edm_preconditioned{}, edm{}, 0),
        "domain_error: edm_preconditioned: t is 0 with alpha = 1, sigma = 0, what the network is told of it is -inf there; "
        "keep the grid away from this time",
        domain_error);
    CHECK_THROWS_WITH_AS(network_time_of(edm_preconditioned{}, rectified_flow{}, 1), doctest::Contains("told of it is inf there"),
                         domain_error);
}

}  // namespace target_concept_tests
