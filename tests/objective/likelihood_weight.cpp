#include <onestep/objective/likelihood_weight.hpp>

#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/sde.hpp>
#include <onestep/process/sub_variance_preserving.hpp>
#include <onestep/process/variance_exploding.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/target/epsilon.hpp>
#include <onestep/target/score.hpp>
#include <onestep/target/v_prediction.hpp>
#include <onestep/target/velocity.hpp>

#include <doctest/doctest.h>

namespace likelihood_weight_tests {

using namespace onestep;

TEST_CASE("likelihood_weight: g^2 on the score, g^2 / sigma^2 on the noise, minus the derivative of SNR on x0") {
    auto const check = [](auto const& process) {
        for (double u : {0.02, 0.3, 0.7, 0.97}) {
            double const t = process.t_min() + (process.t_max() - process.t_min()) * u;
            CAPTURE(t);
            marginal const m = marginal_at(process, t);
            double const square = diffusion_squared(process, t), h = 1e-5 * t;
            auto const snr = [&](double at) { return std::pow(process.alpha(at) / process.sigma(at), 2); };
            CHECK(weight_in(likelihood_weight{}, score{}, m) == doctest::Approx(square).epsilon(1e-10));
            CHECK(weight_in(likelihood_weight{}, epsilon{}, m) == doctest::Approx(square / (m.sigma * m.sigma)).epsilon(1e-10));
            CHECK(weight_in(likelihood_weight{}, x0{}, m) == doctest::Approx((snr(t - h) - snr(t + h)) / (2 * h)).epsilon(1e-6));
        }
    };
    check(variance_preserving{});
    check(sub_variance_preserving{});
    check(variance_exploding{});
    check(edm{});
    check(rectified_flow{});
}

TEST_CASE("likelihood_weight: infinite at the data, finite at pure noise but on the score and the noise") {
    marginal const data = marginal_at(rectified_flow{}, 0), noise = marginal_at(rectified_flow{}, 1);
    CHECK_THROWS_WITH_AS(weight_in(likelihood_weight{}, velocity{}, data),
                         "domain_error: likelihood_weight in the space velocity: t is 0 with alpha = 1, sigma = 0, the weight is infinite "
                         "there; regress in another space or keep the density away from this time",
                         domain_error);
    CHECK_THROWS_AS(weight_in(likelihood_weight{}, v_prediction{}, data), domain_error);
    CHECK_THROWS_AS(weight_in(likelihood_weight{}, epsilon{}, noise), domain_error);
    CHECK_THROWS_AS(weight_in(likelihood_weight{}, score{}, noise), domain_error);
    CHECK(weight_in(likelihood_weight{}, velocity{}, noise) < 1e-50);
    CHECK(weight_in(likelihood_weight{}, x0{}, noise) < 1e-50);
    CHECK(to_string(likelihood_weight{}) == "likelihood_weight{}");
    CHECK(likelihood_weight{} == likelihood_weight{});
}

}  // namespace likelihood_weight_tests
