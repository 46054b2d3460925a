#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace score_tests {

using namespace onestep;

TEST_CASE("score: is -epsilon / sigma") {
    auto const w = score{}.weights({0.3, 0.8, 0.5, -1, 1});
    CHECK(w.x0 == 0);
    CHECK(w.epsilon == -2);
    CHECK(target<score>);
    CHECK(to_string(score{}) == "score{}");
    CHECK(score{} == score{});
}

TEST_CASE("score: is the gradient of log p of x given x0, by a difference quotient") {
    constexpr double alpha = 0.7, sigma = 0.4, x0 = 1.3, x = 0.2, h = 1e-5;
    auto const log_density = [&](double at) { return -(at - alpha * x0) * (at - alpha * x0) / (2 * sigma * sigma); };
    auto const w = score{}.weights({0.5, alpha, sigma, -1, 1});
    CHECK(w.epsilon * (x - alpha * x0) / sigma == doctest::Approx((log_density(x + h) - log_density(x - h)) / (2 * h)).epsilon(1e-8));
}

TEST_CASE("score: the table of conversions") {
    for (double t : {0.05, 0.4, 0.95}) {
        auto const m = marginal_at(variance_preserving{}, t);
        double const a = m.alpha, s = m.sigma, w = a * m.sigma_derivative - m.alpha_derivative * s;
        auto const clean = convert(score{}, x0{}, m), noise = convert(score{}, epsilon{}, m), u = convert(score{}, velocity{}, m);
        CHECK(clean.x == doctest::Approx(1 / a).epsilon(1e-13));
        CHECK(clean.output == doctest::Approx(s * s / a).epsilon(1e-13));
        CHECK(noise.x == 0);
        CHECK(noise.output == doctest::Approx(-s).epsilon(1e-15));
        CHECK(u.x == doctest::Approx(m.alpha_derivative / a).epsilon(1e-13));
        CHECK(u.output == doctest::Approx(-s * w / a).epsilon(1e-13));
        auto const from_clean = convert(x0{}, score{}, m), from_u = convert(velocity{}, score{}, m);
        CHECK(from_clean.x == doctest::Approx(-1 / (s * s)).epsilon(1e-13));
        CHECK(from_clean.output == doctest::Approx(a / (s * s)).epsilon(1e-13));
        CHECK(from_u.x == doctest::Approx(m.alpha_derivative / (s * w)).epsilon(1e-12));
        CHECK(from_u.output == doctest::Approx(-a / (s * w)).epsilon(1e-12));
    }
}

TEST_CASE("score: at sigma = 0 it is infinite, x0 still follows") {
    auto const start = marginal_at(edm{}, 0);
    CHECK(convert(score{}, x0{}, start).x == 1);
    CHECK(convert(score{}, x0{}, start).output == 0);
    CHECK(convert(score{}, score{}, start).output == 1);
    CHECK_THROWS_WITH_AS(
        convert(epsilon{}, score{}, start),
        "domain_error: epsilon -> score: t is 0 with alpha = 1, sigma = 0, the wanted quantity is infinite there; keep the grid "
        "away from this time",
        domain_error);
    CHECK_THROWS_WITH_AS(convert(score{}, epsilon{}, start), doctest::Contains("score -> epsilon: t is 0"), domain_error);
    CHECK_THROWS_AS(convert(x0{}, score{}, start), domain_error);
    CHECK_FALSE(is_convertible(epsilon{}, score{}, start));
    CHECK_FALSE(is_convertible(score{}, velocity{}, start));
}

TEST_CASE("score: at alpha = 0 it is -x / sigma^2 whatever the network says") {
    marginal const end{1, 0, 2, -1, 1};
    for (auto const& c : {convert(epsilon{}, score{}, end), convert(v_prediction{}, score{}, end), convert(x0{}, score{}, end)}) {
        CHECK(c.x == -0.25);
        CHECK(c.output == 0);
    }
    CHECK_THROWS_AS(convert(score{}, x0{}, end), domain_error);
}

}  // namespace score_tests
