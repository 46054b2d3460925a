#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace v_prediction_tests {

using namespace onestep;

TEST_CASE("v_prediction: is alpha epsilon - sigma x0, at right angles to x") {
    auto const w = v_prediction{}.weights({0.3, 0.8, 0.5, -1, 1});
    CHECK(w.x0 == -0.5);
    CHECK(w.epsilon == 0.8);
    CHECK(target<v_prediction>);
    CHECK(to_string(v_prediction{}) == "v_prediction{}");
    CHECK(v_prediction{} == v_prediction{});
}

TEST_CASE("v_prediction: x0 and epsilon follow at every time, both ends too") {
    for (double t : {0.0, 1e-9, 0.2, 0.5, 1.0}) {
        auto const m = marginal_at(rectified_flow{}, t);
        double const n2 = m.alpha * m.alpha + m.sigma * m.sigma;
        auto const clean = convert(v_prediction{}, x0{}, m), noise = convert(v_prediction{}, epsilon{}, m);
        CHECK(clean.x == doctest::Approx(m.alpha / n2).epsilon(1e-14));  // (alpha x - sigma v) / n2
        CHECK(clean.output == doctest::Approx(-m.sigma / n2).epsilon(1e-14));
        if (m.alpha > 0 && m.sigma > 0) {
            CHECK(noise.x == doctest::Approx(m.sigma / n2).epsilon(1e-14));  // (sigma x + alpha v) / n2
            CHECK(noise.output == doctest::Approx(m.alpha / n2).epsilon(1e-14));
        }
        CHECK(determinant(v_prediction{}, m) == doctest::Approx(n2).epsilon(1e-15));
    }
}

TEST_CASE("v_prediction: with preserved variance errors never grow, and dx/dt is a multiple of v") {
    variance_preserving<> const p;
    for (double t : {1e-3, 0.1, 0.5, 0.9, 1.0}) {
        auto const m = marginal_at(p, t);
        CHECK(amplification(v_prediction{}, x0{}, m) == doctest::Approx(m.sigma).epsilon(1e-12));
        CHECK(amplification(v_prediction{}, epsilon{}, m) == doctest::Approx(m.alpha).epsilon(1e-12));
        auto const u = convert(v_prediction{}, velocity{}, m);
        CHECK(std::fabs(u.x) < 1e-13 * std::fabs(u.output));
        CHECK(u.output == doctest::Approx((0.1 + 19.9 * t) * m.alpha / (2 * m.sigma)).epsilon(1e-12));  // beta alpha / (2 sigma)
    }
}

}  // namespace v_prediction_tests
