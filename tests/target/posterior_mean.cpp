#include <onestep/process/discrete.hpp>
#include <onestep/process/edm.hpp>
#include <onestep/process/rectified_flow.hpp>
#include <onestep/process/variance_preserving.hpp>
#include <onestep/schedule/zero_terminal_snr.hpp>
#include <onestep/target/convert.hpp>
#include <onestep/target/posterior_mean.hpp>
#include <onestep/target/x0.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <string>

namespace posterior_mean_tests {

using namespace onestep;

namespace {

/// The mean of x_s given x_t and x0 by conditioning two correlated Gaussians: cov(x_s, x_t) / var(x_t), given x0.
template <class P> void check_conditioning(P const& p, double t, double s, target_weights const& w) {
    double const ratio = p.alpha(t) / p.alpha(s);
    double const covariance = ratio * p.sigma(s) * p.sigma(s);  // x_t = ratio x_s + independent noise
    double const gain = covariance / (p.sigma(t) * p.sigma(t));
    double const clean = 0.7, noise = -1.3, x = p.alpha(t) * clean + p.sigma(t) * noise;
    double const mean = p.alpha(s) * clean + gain * (x - p.alpha(t) * clean);
    CHECK(w.x0 * clean + w.epsilon * noise == doctest::Approx(mean).epsilon(1e-12));
}

}  // namespace

TEST_CASE("posterior_mean: is the conditional mean one step nearer to the data, on any process") {
    for (double t : {2.0, 7.0, 500.0, 1000.0})
        check_conditioning(discrete{}, t, t - 1, posterior_mean{discrete{}}.weights(marginal_at(discrete{}, t)));
    for (double t : {0.1, 0.5, 1.0}) {
        check_conditioning(variance_preserving{}, t, t - 0.05,
                           posterior_mean{variance_preserving{}, 0.05}.weights(marginal_at(variance_preserving{}, t)));
        check_conditioning(rectified_flow{}, t, t - 0.05, posterior_mean{rectified_flow{}, 0.05}.weights(marginal_at(rectified_flow{}, t)));
        check_conditioning(edm{}, t, t - 0.05, posterior_mean{edm{}, 0.05}.weights(marginal_at(edm{}, t)));
    }
}

TEST_CASE("posterior_mean: DDPM's coefficients by index, and x0 back from them") {
    // c1 = beta sqrt(abar_prev) / (1 - abar), c2 = (1 - abar_prev) sqrt(1 - beta) / (1 - abar) at index 500 of the linear table
    constexpr double c1 = 0.003058057075629619, c2 = 0.9941043507567255;
    auto const m = marginal_at(discrete{}, 501);
    auto const w = posterior_mean{discrete{}}.weights(m);
    CHECK(w.x0 == doctest::Approx(c1 + c2 * m.alpha).epsilon(1e-12));
    CHECK(w.epsilon == doctest::Approx(c2 * m.sigma).epsilon(1e-12));
    auto const back = convert(posterior_mean{discrete{}}, x0{}, m);  // x0 = (mu - c2 x) / c1
    CHECK(back.x == doctest::Approx(-c2 / c1).epsilon(1e-10));
    CHECK(back.output == doctest::Approx(1 / c1).epsilon(1e-10));
    CHECK(amplification(posterior_mean{discrete{}}, x0{}, m) == doctest::Approx(327.005).epsilon(1e-5));
}

TEST_CASE("posterior_mean: the first step's mean is x0, the last one's holds at alpha = 0") {
    auto const first = posterior_mean{discrete{}}.weights(marginal_at(discrete{}, 1));
    CHECK(first.x0 == 1);
    CHECK(first.epsilon == 0);
    discrete const p{zero_terminal_snr{linear_schedule{}}};
    auto const last = posterior_mean{p}.weights(marginal_at(p, 1000));
    CHECK(last.x0 == p.alpha(999));
    CHECK(last.epsilon == 0);
    CHECK(convert(posterior_mean{p}, x0{}, marginal_at(p, 1000)).output == doctest::Approx(1 / p.alpha(999)).epsilon(1e-14));
}

TEST_CASE("posterior_mean: steps end at t_min, where x says it all") {
    auto const cut = posterior_mean{rectified_flow{}, 0.5}.weights(marginal_at(rectified_flow{}, 0.25));
    CHECK(cut.x0 == 1);
    CHECK(cut.epsilon == 0);
    auto const m = marginal_at(variance_preserving{}, 1e-3);
    auto const w = posterior_mean{variance_preserving{}}.weights(m);
    CHECK(w.x0 == m.alpha);
    CHECK(w.epsilon == m.sigma);
    CHECK_FALSE(is_convertible(posterior_mean{variance_preserving{}}, x0{}, m));
    CHECK_THROWS_AS(convert(posterior_mean{variance_preserving{}}, x0{}, m), domain_error);
}

TEST_CASE("posterior_mean: refuses a step that is not positive") {
    auto const m = marginal_at(rectified_flow{}, 0.5);
    CHECK_THROWS_WITH_AS((posterior_mean{rectified_flow{}, 0.0}.weights(m)), "domain_error: posterior_mean: step is 0, it must be > 0",
                         domain_error);
    CHECK_THROWS_AS((posterior_mean{rectified_flow{}, std::nan("")}.weights(m)), domain_error);
}

TEST_CASE("posterior_mean: is a target and prints its process") {
    CHECK(target<posterior_mean<rectified_flow>>);
    CHECK(to_string(posterior_mean{rectified_flow{}, 0.5}) == "posterior_mean{process = rectified_flow{}, step = 0.5}");
    CHECK(posterior_mean{rectified_flow{}} == posterior_mean{rectified_flow{}, 1.0});
    CHECK_FALSE(posterior_mean{rectified_flow{}, 0.5} == posterior_mean{rectified_flow{}});
}

}  // namespace posterior_mean_tests
